"""WeftDB: one vector database engine as a library, a service and a cluster."""

__version__ = "0.1.0"

__all__ = ["__version__"]
