"""What is measured while the load runs, and the outcome that is built from it at the end.

May import all other packages of `app.load`.
"""
