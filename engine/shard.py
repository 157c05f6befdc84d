"""Shard: the objects of one collection on one node, with every index over them.

Write order: the batch goes to the store (atomic), then into memory (inverted index, then new
vectors, then the live bitmap, then old vectors out), then the writer waits for the sync. So a
reader may meet a doc whose row has just been replaced, but never misses both states of an object;
`fetch` reports such a doc as gone and the read is run again (engine/reader.py).

Concurrency: one writer at a time (`_writer`); reads take no lock, except the second try of a read
that met a moving object, which holds `publishing`.
"""

from __future__ import annotations
