"""The engines: models, processes, samples and rates."""
