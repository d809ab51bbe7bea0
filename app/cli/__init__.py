"""The command line `threadlab`: one module for each command, and what they share.

Commands parse their options here and import what they need when they run: starting `threadlab --help` or
`threadlab models` imports neither FastAPI nor SQLAlchemy nor pydantic. tests/app/cli/test_start_up.py checks
it.
"""
