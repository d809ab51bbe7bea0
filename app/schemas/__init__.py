"""Frozen values that cross layers: what pages, API, command line and store have in common. No behaviour.

Units are in the field names. None means "not known", never 0. May import app.load.protocol.
"""
