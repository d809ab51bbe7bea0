"""When requests are sent: the closed model, the open model, ramps and schedules."""
