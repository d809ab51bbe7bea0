"""A real browser on a real lab."""
