"""The plan as users write it: field table, validation, text formats, description, scenarios and thresholds.

May import app.machine, app.schemas, app.settings, app.errors and app.load.protocol.
"""
