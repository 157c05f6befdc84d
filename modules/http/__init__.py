"""Embedding by services over HTTP."""
