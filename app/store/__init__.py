"""Runs in SQLite by SQLAlchemy 2: still there after a restart. Imports only schemas and below."""
