"""Golden scripts of what a coordinator asks of shards."""
