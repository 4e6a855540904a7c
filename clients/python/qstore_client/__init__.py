"""
The Python client of Q-Store.

`QStoreClient` is for asyncio, `SyncQStoreClient` has the same nouns and verbs without it.
"""

from qstore_client import errors, types
from qstore_client.aio.client import QStoreClient
from qstore_client.errors import APIError, ConnectionFailed, JobFailed, QStoreError
from qstore_client.pages import Page
from qstore_client.progress import ProgressBar
from qstore_client.sync.client import SyncQStoreClient

__version__ = "4.1.0"

__all__ = [
    "APIError",
    "ConnectionFailed",
    "JobFailed",
    "Page",
    "ProgressBar",
    "QStoreClient",
    "QStoreError",
    "SyncQStoreClient",
    "errors",
    "types",
]
