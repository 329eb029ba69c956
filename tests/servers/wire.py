"""What the drivers of PostgreSQL are told to send."""

from __future__ import annotations

from typing import Any

import asyncpg
import psycopg2
import pytest
from psycopg2 import extensions


def record_psycopg2(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the statements of connections that are opened from now on."""
    sent: list[str] = []

    class Recording(extensions.cursor):
        def execute(self, query: Any, vars: Any = None) -> None:
            sent.append(query)
            super().execute(query, vars)

        def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
            sent.append(sql)
            super().copy_expert(sql, file, size)

    connect = psycopg2.connect
    monkeypatch.setattr(psycopg2, "connect", lambda **given: connect(**given, cursor_factory=Recording))
    return sent


def record_asyncpg(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the statements of connections that are opened from now on."""
    sent: list[str] = []
    connect = asyncpg.connect

    async def recording(**given: Any) -> Any:
        connection = await connect(**given)
        connection.add_query_logger(lambda record: sent.append(record.query))
        return connection

    monkeypatch.setattr(asyncpg, "connect", recording)
    return sent
