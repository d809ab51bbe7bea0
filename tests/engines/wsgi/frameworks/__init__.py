"""The same small shop as a Flask and as a Django application, as a user would write them."""
