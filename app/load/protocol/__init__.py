"""What the control plane and a load-generator process exchange: plan, live meter, outcome."""
