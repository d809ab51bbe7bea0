"""The control plane's HTTP server: protocol limits, security, problem documents, dependencies of routes.

May import `app.lab` (dependencies only), `app.addresses`, `app.streams` and `app.errors`.
"""
