"""Worker processes, for the prefork model. May import engines.common."""
