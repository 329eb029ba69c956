"""What SQLite is like."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Optional

from blaze.dialects import types as t
from blaze.dialects.dialect import Codec, Dialect
from blaze.dialects.features import Features, Lasting
from blaze.errors import CapabilityError
from blaze_sqlite import codecs
from blaze_sqlite.constraints import LEXIS
from blaze_sqlite.exactness import exact_number, inexact_part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blaze.dialects.changes import AddedColumn, TableChange
    from blaze.dialects.migrating import MigrationLock
    from blaze_sqlite.rebuild import SQLiteRebuilder

__all__ = ["SQLiteDialect"]

Version = tuple[int, ...]


def _features(version: Version, driver: str) -> Features:
    return Features(
        lexis=LEXIS,
        lasting=Lasting(frozenset(["PRAGMA", "ATTACH", "DETACH"])),
        returning=version >= (3, 35),
        update_returning=version >= (3, 35),
        delete_returning=version >= (3, 35),
        default_key="NULL",
        on_conflict=version >= (3, 24),
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
        offset_needs_limit=True,
        unlimited_limit="-1",
        json_paths=version >= (3, 38),
        # One trip to the thread instead of three. A blocking call saves no trip, and an interrupt in it could
        # not tell whether the statement has committed.
        lone_statements=driver == "aiosqlite",
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
        add_constraint=False,
        drop_column=version >= (3, 35),
        rename_column=version >= (3, 25),
        partial_indexes=True,
        expression_indexes=True,
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
        self.features = _features(self.version, driver)

    @property
    def compiler(self) -> type[Any]:
        """Give the compiler class, imported late: a dialect is knowledge and loads nothing before it is
        asked.
        """
        from blaze_sqlite.compiler import SQLiteCompiler

        return SQLiteCompiler

    # The word before TEXT tells people and the introspection what is meant; TEXT gives the affinity. No word
    # may contain INT where the value is a text: SQLite would make the column an INTEGER. BLOB, which means no
    # affinity at all, is the only one that leaves floats alone: REAL keeps 3.0 as the integer 3, -0.0 as 0.
    ddl_words = {
        t.Boolean: "BOOLEAN",
        t.Integer: "INTEGER",
        t.Float: "REAL BLOB",
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

    def alter_table(self, table: str, change: TableChange) -> Optional[list[str]]:
        from blaze.dialects.changes import AddedColumn, RenamedColumn, RenamedTable

        if isinstance(change, RenamedColumn):
            self.require("rename_column", "RENAME COLUMN before 3.25")
        elif isinstance(change, AddedColumn):
            if not _is_easily_added(change):
                return None
        elif not isinstance(change, RenamedTable):
            return None
        return super().alter_table(table, change)

    def rebuilder(self) -> SQLiteRebuilder:
        """Give what makes a table anew, for all changes but new names and simple new columns."""
        from blaze_sqlite.rebuild import SQLiteRebuilder

        return SQLiteRebuilder(self)

    def migration_lock(self, transaction: bool) -> Optional[MigrationLock]:
        """Give the write lock of the database, which a transaction takes; there is no other lock."""
        from blaze.dialects.migrating import MigrationLock

        return MigrationLock(isolation="IMMEDIATE") if transaction else None

    def table_exists(self, schema: bool) -> str:
        return "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE"

    def current_timestamp(self, type_: t.SQLType) -> str:
        """Give the SQL of the present moment in the form in which values of ``type_`` are stored."""
        if isinstance(type_, t.Date):
            return "date('now')"
        if isinstance(type_, t.Time):
            return "strftime('%H:%M:%f000', 'now')"
        offset = "" if isinstance(type_, t.DateTime) and not type_.timezone else "+00:00"
        return f"strftime('%Y-%m-%d %H:%M:%f000{offset}', 'now')"

    def default_text(self, text: str, type_: t.SQLType) -> str:
        exact = exact_number(text) if _is_decimal(type_) else None
        return text if exact is None else exact  # the number itself would pass through a float

    def generated_text(self, text: str, type_: t.SQLType) -> str:
        """Refuse what SQLite would calculate with floats: `100.10 - 100` is 0.0999999999999943 there."""
        part = inexact_part(text) if _is_decimal(type_) else None
        if part is not None:
            raise CapabilityError(
                f"the expression {text!r} of a decimal column has {part!r}: SQLite calculates with floats "
                "and loses digits; use decimal_add(), decimal_sub(), decimal_mul(), decimal_div(), "
                "decimal_mod(), decimal_neg(), decimal_abs() or decimal_round(), or compute it in Python"
            )
        return text

    def float_literal(self, value: float) -> str:
        if value in (float("inf"), float("-inf")):
            return "9e999" if value > 0 else "-9e999"
        return repr(value)

    def make_encoder(self, type_: t.SQLType) -> Optional[Codec]:
        return codecs.encoder(type_)

    def referring_sql(self, tables: Sequence[str]) -> Optional[tuple[str, tuple[Any, ...]]]:
        """SQLite deletes the rows of a table that it drops, with all that ON DELETE rules say."""
        names = tuple([name.lower() for name in tables])
        marks = ", ".join("?" * len(names))
        return (
            'SELECT m.name, k."table" FROM sqlite_master AS m JOIN pragma_foreign_key_list(m.name) AS k '
            f"WHERE m.type = 'table' AND lower(k.\"table\") IN ({marks}) AND lower(m.name) NOT IN ({marks})",
            names * 2,
        )

    def make_decoder(self, type_: t.SQLType) -> Optional[Codec]:
        return codecs.decoder(type_)


def _is_decimal(type_: t.SQLType) -> bool:
    while isinstance(type_, t.Custom):
        type_ = type_.storage
    return isinstance(type_, t.Numeric)


def _is_easily_added(column: AddedColumn) -> bool:
    """Say whether ADD COLUMN takes a column: NULL or one literal must be the value of all rows."""
    from blaze.sql.tokens import TEXT, tokenize

    if column.generated or column.default is None:
        return column.nullable and not column.generated
    tokens = [token for token in tokenize(column.default, LEXIS) if token.text not in "()"]
    return len(tokens) == 1 and (tokens[0].kind == TEXT or tokens[0].text[0].isdigit())
