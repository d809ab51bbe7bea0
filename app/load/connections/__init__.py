"""Client connections of the load generator, one module for each behaviour, and their pool."""
