"""How connections are described, opened, pooled and talked to; no SQL of its own and no models."""

from blaze.adapters.adapter import Adapter, AsyncAdapter, Backend
from blaze.adapters.config import ConnectionConfig
from blaze.adapters.connection import AsyncConnection, Connection
from blaze.adapters.outcome import Outcome

__all__ = [
    "Adapter",
    "AsyncAdapter",
    "AsyncConnection",
    "Backend",
    "Connection",
    "ConnectionConfig",
    "Outcome",
]
