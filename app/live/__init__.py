"""The live view: samples become one frame per interval, which the hub offers to every WebSocket.

May import `app.lab`, `app.fleet`, `app.runs.progress`, `app.trace`, `app.metrics`, `app.events`,
`app.machine` and `app.errors`.
"""
