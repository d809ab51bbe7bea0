"""Thread traces: when an engine records state changes, and the recording of a traced run."""
