"""The live view: sampler → frame → hub → WebSocket."""
