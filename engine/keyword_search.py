"""Ranks the objects of one shard by BM25."""

from __future__ import annotations
