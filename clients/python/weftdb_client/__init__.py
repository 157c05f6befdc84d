"""WeftDB's client: one API for a database in this process and one behind a server."""

from __future__ import annotations

from .client import WeftClient
from .collection import Collection
from .connecting import connect
from .errors import (
    AlreadyExists,
    ClientError,
    NotFound,
    RequestRefused,
    ServiceFault,
    Unavailable,
)
from .filters import Filter
from .ids import generate_uuid5
from .new_objects import DataObject
from .options import BM25Operator, HybridFusion, MetadataQuery, Move, Sort
from .schema import Configure, DataType, Property, Tokenization, VectorDistances

__all__ = [
    "AlreadyExists",
    "BM25Operator",
    "ClientError",
    "Collection",
    "Configure",
    "DataObject",
    "DataType",
    "Filter",
    "HybridFusion",
    "MetadataQuery",
    "Move",
    "NotFound",
    "Property",
    "RequestRefused",
    "ServiceFault",
    "Sort",
    "Tokenization",
    "Unavailable",
    "VectorDistances",
    "WeftClient",
    "connect",
    "generate_uuid5",
]
