"""A cluster of real processes under load and faults, and what it must keep."""
