"""Frozen values that cross layers: what the pages, the API, the command line and the store have in common.

No behaviour. Field names are those of the JSON API and contain the unit. None means "not known"; it is never
written as 0. May import app.load.protocol only.
"""
