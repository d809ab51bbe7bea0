"""HTML routes: parse a request, make one call to the lab, render a template of `templates/`.

Values are formatted by app/format.py. Imports the API layer and everything below it.
"""
