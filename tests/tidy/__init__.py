"""Tidy tests: the style is a test."""
