"""When requests are sent: the closed model, the open model, ramps and schedules.

May import `app.load.protocol` and `app.load.connections`.
"""
