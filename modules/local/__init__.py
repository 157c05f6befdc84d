"""Embedding inside this process, without a service."""
