"""REST API v1, one module per resource. Thin routes: parse, one call, return.

May import `web`, `report`, `lab` and everything below it.
"""
