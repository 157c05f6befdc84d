"""Which replicas must know, and how do the others find out?"""
