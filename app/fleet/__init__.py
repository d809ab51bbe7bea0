"""Engines: the models, server processes, samples of them and rates computed from the samples.

May import `app.trace`, `app.machine`, `app.schemas`, `app.settings`, `app.events`, `app.addresses`,
`app.load.protocol`, `app.errors` and the engines' contract and board. Event loop of the main thread only.
"""
