"""HTML routes: thin, like the API's. What they show is made in templates; how values look, in `looks`."""
