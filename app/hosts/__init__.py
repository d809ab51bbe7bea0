"""Hosts: where shards of the load generator and whole rounds are carried out.

`port` states what the lab needs of them. This machine is the only host unless the lab has a cluster.
"""
