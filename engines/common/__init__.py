"""What all models share: contract, handlers, connections and queues. Imports no model module."""
