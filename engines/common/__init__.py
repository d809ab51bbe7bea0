"""What all models share: the contract, the handlers, connections and queues. It imports no model module."""
