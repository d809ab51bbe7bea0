"""What was measured: the running tally, and the outcome made of it at the end."""
