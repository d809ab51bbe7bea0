"""Makes the pictures of docs/screenshots; docs/screenshots.py is the command."""
