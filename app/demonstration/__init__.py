"""The demonstration of the home page: one slow request in two models under the same load.

May import `runs`, `fleet` and what is below them.
"""
