"""What SQLite is like."""

from __future__ import annotations

import sqlite3
from typing import Any, Optional

from blaze.dialects import types as t
from blaze.dialects.dialect import Codec, Dialect
from blaze.dialects.features import Features
from blaze_sqlite import codecs

__all__ = ["SQLiteDialect"]

Version = tuple[int, ...]


def _features(version: Version) -> Features:
    return Features(
        returning=version >= (3, 35),
        insert_returning_multi=version >= (3, 35),
        insert_returning_ordered=version >= (3, 35),
        default_keyword=False,
        on_conflict=version >= (3, 24),
        update_from=version >= (3, 33),
        max_bind_params=32_766 if version >= (3, 32) else 999,
        array_param="json_each",
        row_value_in=True,
        boolean_literals=False,
        window_functions=version >= (3, 25),
        window_frames_exclude=version >= (3, 28),
        filter_clause=version >= (3, 30),
        right_join=version >= (3, 39),
        full_join=version >= (3, 39),
        nulls_order=version >= (3, 30),
        nulls_sort_first=True,
        offset_needs_limit=True,
        unlimited_limit="-1",
        json_paths=version >= (3, 38),
        transactional_ddl=True,
        begin_on_read=False,
        isolation_levels=(
            "SERIALIZABLE",
            "REPEATABLE READ",
            "READ COMMITTED",
            "READ UNCOMMITTED",
            "DEFERRED",
            "IMMEDIATE",
            "EXCLUSIVE",
        ),
        default_isolation="SERIALIZABLE",
        schemas=False,
        identity_declares_key=True,
        generated_columns=version >= (3, 31),
        deferrable_constraints=True,
        defer_foreign_keys="PRAGMA defer_foreign_keys = ON",
        alter_column=False,
        add_constraint=False,
        drop_column=version >= (3, 35),
        rename_column=version >= (3, 25),
        partial_indexes=True,
        expression_indexes=True,
        native_boolean=False,
        native_decimal=False,
        lastrowid=True,
    )


class SQLiteDialect(Dialect):
    """Know how SQLite spells and stores things; ``version`` is that of the library, by default the one in
    use.

    Each isolation level of the standard is accepted and gives SERIALIZABLE, the only one SQLite has;
    DEFERRED, IMMEDIATE and EXCLUSIVE choose the kind of BEGIN.
    """

    name = "sqlite"
    driver = "sqlite3"
    max_identifier_bytes = 10_000

    def __init__(self, version: Optional[Version] = None, driver: str = "sqlite3") -> None:
        super().__init__()
        self.version = sqlite3.sqlite_version_info if version is None else version
        self.driver = driver
        self.features = _features(self.version)

    @property
    def compiler(self) -> type[Any]:
        """Give the compiler class, imported late: a dialect is knowledge and loads nothing before it is
        asked.
        """
        from blaze_sqlite.compiler import SQLiteCompiler

        return SQLiteCompiler

    # The word before TEXT tells people and the introspection what is meant; TEXT gives the affinity. No word
    # may contain INT where the value is a text: SQLite would make the column an INTEGER.
    _ddl_words = {
        t.Boolean: "BOOLEAN",
        t.Integer: "INTEGER",
        t.Float: "REAL",
        t.Binary: "BLOB",
        t.Date: "DATE TEXT",
        t.Time: "TIME TEXT",
        t.Interval: "INTERVAL INTEGER",
        t.Uuid: "UUID TEXT",
        t.Json: "JSON TEXT",
    }

    def explain(self, sql: str) -> str:
        return f"EXPLAIN QUERY PLAN {sql}"

    def type_ddl(self, type_: t.SQLType) -> str:
        if isinstance(type_, t.Numeric):
            size = "" if type_.precision is None else f"({type_.precision}, {type_.scale or 0})"
            return f"NUMERIC TEXT{size} COLLATE decimal"
        if isinstance(type_, t.DateTime):
            return "TIMESTAMPTZ TEXT" if type_.timezone else "TIMESTAMP TEXT"
        if isinstance(type_, t.Array):
            return "ARRAY TEXT"
        return super().type_ddl(type_)

    @property
    def identity_ddl(self) -> str:
        """Give the DDL of a key that SQLite numbers; it is another name of the rowid, so it says PRIMARY KEY
        itself.
        """
        return "INTEGER PRIMARY KEY"

    def current_timestamp(self, type_: t.SQLType) -> str:
        """Give the SQL of the present moment in the form in which values of ``type_`` are stored."""
        if isinstance(type_, t.Date):
            return "date('now')"
        if isinstance(type_, t.Time):
            return "strftime('%H:%M:%f000', 'now')"
        offset = "" if isinstance(type_, t.DateTime) and not type_.timezone else "+00:00"
        return f"strftime('%Y-%m-%d %H:%M:%f000{offset}', 'now')"

    def _float_literal(self, value: float) -> str:
        if value in (float("inf"), float("-inf")):
            return "9e999" if value > 0 else "-9e999"
        return repr(value)

    def _encoder(self, type_: t.SQLType) -> Optional[Codec]:
        if isinstance(type_, t.Array):
            return codecs.array_encoder(type_.item, self.encoder(type_.item))
        return codecs.encoder(type_)

    def _decoder(self, type_: t.SQLType) -> Optional[Codec]:
        if isinstance(type_, t.Array):
            return codecs.array_decoder(type_.item, self.decoder(type_.item))
        return codecs.decoder(type_)
