"""The table in which a database remembers its migrations, as plans."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from blaze.dialects.types import DateTime, Float, Integer, String
from blaze.plan import Execute, Plan
from blaze.schema.builder import SchemaBuilder
from blaze.schema.definitions import TableDefinition
from blaze.sql.table import Table, TableColumn

if TYPE_CHECKING:
    from blaze.dialects.dialect import Dialect

__all__ = ["APPLIED", "APPLYING", "FAILED", "REVERTING", "AppliedMigration", "History"]

# `FAILED` is put behind the two in between where the database refused a step: it is known not to be done.
APPLIED, APPLYING, REVERTING, FAILED = "applied", "applying", "reverting", " failed"


class AppliedMigration(NamedTuple):
    """What the database remembers of a migration.

    `applied_at` is in UTC, `duration` in seconds. Only where DDL cannot be rolled back, `state` may be
    another than `applied`: `steps` of it are done then, and `checksum` is theirs.
    """

    name: str
    position: int
    checksum: str
    applied_at: datetime
    duration: float
    state: str
    steps: int


_COLUMNS = (
    ("name", String(255)),
    ("position", Integer()),
    ("checksum", String(64)),
    ("applied_at", DateTime()),
    ("duration", Float()),
    ("state", String(20)),
    ("steps", Integer()),
)


class History:
    """The history table as one dialect sees it."""

    def __init__(self, dialect: Dialect, name: str, schema: Optional[str]) -> None:
        self.dialect = dialect
        self.types = dict(_COLUMNS)
        columns = [TableColumn(each, type_, primary_key=each == "name") for each, type_ in _COLUMNS]
        self.definition = TableDefinition(Table(name, columns, schema=schema), f"table {name!r}")
        self.builder = SchemaBuilder(dialect)
        self.table = self.builder.table(self.definition)
        self.names = ", ".join(map(dialect.quote, self.types))

    def exists(self) -> Plan[bool]:
        """Plan to look whether the table is there."""
        table = self.definition.table
        schema = table.schema is not None
        names = (table.name, table.schema) if schema else (table.name,)
        outcome = yield Execute(self.dialect.table_exists(schema), names)
        return bool(outcome.rows[0][0])

    def create(self) -> Plan[None]:
        """Plan to create the table where it is missing."""
        if not (yield from self.exists()):
            yield Execute(self.builder.create_table(self.definition), (), None, True)

    def read(self) -> Plan[list[AppliedMigration]]:
        """Plan to read all rows in the order of application; none where the table is missing."""
        if not (yield from self.exists()):
            return []
        order = self.dialect.quote("position")
        outcome = yield Execute(f"SELECT {self.names} FROM {self.table} ORDER BY {order}")
        decoders = [self.dialect.decoder(type_) for type_ in self.types.values()]
        return [
            AppliedMigration(
                *[value if decode is None else decode(value) for value, decode in zip(row, decoders)]
            )
            for row in outcome.rows
        ]

    def insert(self, migration: AppliedMigration) -> Plan[None]:
        """Plan to add a row."""
        marks = ", ".join(map(self.dialect.placeholder, range(1, len(migration) + 1)))
        sql = f"INSERT INTO {self.table} ({self.names}) VALUES ({marks})"
        yield Execute(sql, self._encoded(self.types, migration), None, True)

    def update(self, name: str, **values: Any) -> Plan[None]:
        """Plan to change columns of a row."""
        quote, mark = self.dialect.quote, self.dialect.placeholder
        parts = ", ".join(f"{quote(each)} = {mark(place)}" for place, each in enumerate(values, 1))
        sql = f"UPDATE {self.table} SET {parts} WHERE {quote('name')} = {mark(len(values) + 1)}"
        yield Execute(sql, self._encoded([*values, "name"], [*values.values(), name]), None, True)

    def delete(self, name: str) -> Plan[None]:
        """Plan to remove a row."""
        sql = f"DELETE FROM {self.table} WHERE {self.dialect.quote('name')} = {self.dialect.placeholder(1)}"
        yield Execute(sql, self._encoded(["name"], [name]), None, True)

    def _encoded(self, names: Any, values: Sequence[Any]) -> tuple[Any, ...]:
        encoders = [self.dialect.encoder(self.types[name]) for name in names]
        return tuple(value if encode is None else encode(value) for value, encode in zip(values, encoders))


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(timezone.utc)
