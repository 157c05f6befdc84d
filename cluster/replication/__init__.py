"""Leaderless replication: pure cores, and the drivers around them."""
