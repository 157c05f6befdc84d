"""Searches and aggregations over the shards of a collection."""
