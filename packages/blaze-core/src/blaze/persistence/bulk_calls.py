"""The methods of sessions that write many rows past the unit of work: `bulk_insert`, `upsert`, ..."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

from blaze.persistence import bulk
from blaze.persistence.bulk_deletes import bulk_delete
from blaze.persistence.calls import AsyncSessionCalls, SessionCalls
from blaze.persistence.upsert import UpsertResult, upsert

if TYPE_CHECKING:
    from blaze.query.manager import Model
    from blaze.sql.columns import Column


class BulkCalls(SessionCalls):
    """The bulk operations of a `Session`."""

    def bulk_insert(
        self,
        objects: Iterable[Model],
        *,
        progress: bulk.Progress = None,
        return_keys: bool = False,
    ) -> bulk.BulkResult:
        """Insert many objects, past hooks and tracking; return their number.

        `progress` is called after each batch with the number of objects done and their total (None for an
        iterable without a length). `return_keys` puts generated keys on the objects and in `.keys` of the
        result. When it fails, nothing of it stays.
        """
        return self._run(bulk.bulk_insert(self, objects, progress, return_keys))  # type: ignore[no-any-return]

    def bulk_update(
        self,
        objects: Iterable[Model],
        fields: Optional[Sequence[Union[Column[Any], str]]] = None,
        *,
        progress: bulk.Progress = None,
    ) -> int:
        """Update many objects by key: the named fields, or all; return the number of rows.

        Columns with `on_update` are set unless they are named. Models with a version column are compared with
        it: raises `StaleDataError` when a row was changed or deleted meanwhile.
        """
        return self._run(bulk.bulk_update(self, objects, fields, progress))  # type: ignore[no-any-return]

    def bulk_delete(self, model: type[Model], keys: Iterable[Any], *, progress: bulk.Progress = None) -> int:
        """Delete rows by key; return their number."""
        return self._run(bulk_delete(self, model, keys, progress))  # type: ignore[no-any-return]

    def upsert(
        self,
        objects: Iterable[Model],
        conflict: Sequence[Union[Column[Any], str]],
        update: Optional[Sequence[Union[Column[Any], str]]] = None,
        *,
        progress: bulk.Progress = None,
    ) -> UpsertResult:
        """Insert objects, or update the rows with the same values in the `conflict` columns.

        `conflict` names a primary key or what is unique together; `update` the columns that existing rows
        get, all by default, none with `[]`. Raises `QueryError` for other columns, and for two objects with
        the same conflict values.
        """
        return self._run(upsert(self, objects, conflict, update, progress))  # type: ignore[no-any-return]


class AsyncBulkCalls(AsyncSessionCalls):
    """The bulk operations of an `AsyncSession`."""

    async def bulk_insert(
        self,
        objects: Iterable[Model],
        *,
        progress: bulk.Progress = None,
        return_keys: bool = False,
    ) -> bulk.BulkResult:
        """Insert many objects, past hooks and tracking; return their number.

        `progress` is called after each batch with the number of objects done and their total (None for an
        iterable without a length). `return_keys` puts generated keys on the objects and in `.keys` of the
        result. When it fails, nothing of it stays.
        """
        return await self._run(bulk.bulk_insert(self, objects, progress, return_keys))  # type: ignore[no-any-return]

    async def bulk_update(
        self,
        objects: Iterable[Model],
        fields: Optional[Sequence[Union[Column[Any], str]]] = None,
        *,
        progress: bulk.Progress = None,
    ) -> int:
        """Update many objects by key: the named fields, or all; return the number of rows.

        Columns with `on_update` are set unless they are named. Models with a version column are compared with
        it: raises `StaleDataError` when a row was changed or deleted meanwhile.
        """
        return await self._run(bulk.bulk_update(self, objects, fields, progress))  # type: ignore[no-any-return]

    async def bulk_delete(
        self, model: type[Model], keys: Iterable[Any], *, progress: bulk.Progress = None
    ) -> int:
        """Delete rows by key; return their number."""
        return await self._run(bulk_delete(self, model, keys, progress))  # type: ignore[no-any-return]

    async def upsert(
        self,
        objects: Iterable[Model],
        conflict: Sequence[Union[Column[Any], str]],
        update: Optional[Sequence[Union[Column[Any], str]]] = None,
        *,
        progress: bulk.Progress = None,
    ) -> UpsertResult:
        """Insert objects, or update the rows with the same values in the `conflict` columns.

        `conflict` names a primary key or what is unique together; `update` the columns that existing rows
        get, all by default, none with `[]`. Raises `QueryError` for other columns, and for two objects with
        the same conflict values.
        """
        return await self._run(upsert(self, objects, conflict, update, progress))  # type: ignore[no-any-return]
