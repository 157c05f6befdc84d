"""TextSide: the inverted indexes of one shard, filterable and searchable, and their segments."""
