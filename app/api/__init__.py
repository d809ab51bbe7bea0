"""REST v1: thin routes, one file per noun. Parse, one call to the lab, answer."""
