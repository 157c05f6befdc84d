"""What goes wrong for a user of the client, the same in-process and over the network.

ClientError
├── RequestRefused      the request must change; its text says how
│   ├── NotFound            no such collection or object
│   └── AlreadyExists       the name or id is taken
├── Unavailable         not this time; the same request may succeed later
└── ServiceFault        the database is broken or closed
"""

from __future__ import annotations


class ClientError(Exception):
    """Root of the client's errors."""


class RequestRefused(ClientError):
    """The database refused the request: the same request will fail again."""


class NotFound(RequestRefused):
    """No collection or object of that name."""


class AlreadyExists(RequestRefused):
    """The collection name or object id is taken."""


class Unavailable(ClientError):
    """Not this time: the node cannot be reached, or a budget or service is used up."""


class ServiceFault(ClientError):
    """The database is broken or closed."""
