"""Commands beside `weftdb serve`: import, search, stats."""
