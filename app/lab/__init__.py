"""The domain: the Lab and what it is made of. Routes talk to `Lab` only."""
