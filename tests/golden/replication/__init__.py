"""Golden scripts of replication, and their language."""
