"""A cluster of real processes that grows, shrinks and loses a node, under load."""
