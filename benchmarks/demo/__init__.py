"""The demo: real text in, found again by keyword, meaning, both, and with filters."""
