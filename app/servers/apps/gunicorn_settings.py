"""No settings for gunicorn: it would use a `gunicorn.conf.py` of the working directory, beside the knobs."""
