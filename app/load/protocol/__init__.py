"""What the control plane and a shard of the load generator exchange: plan and job, live meter, outcome.

Imports nothing else of `app`. The control plane imports this package, and nothing else of `app.load` except
`app.load.time_slice`.
"""
