"""Golden scripts: conversations with a feedable value, and what it must answer."""
