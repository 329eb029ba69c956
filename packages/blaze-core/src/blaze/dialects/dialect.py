"""The base dialect: ANSI defaults that a backend overrides where it differs."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Optional

from blaze.dialects import types as t
from blaze.dialects.features import Features
from blaze.errors import CapabilityError, ConfigurationError, DatabaseError, QueryError
from blaze.utils.naming import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from blaze.dialects.batches import Batch, BatchColumn, CopyTarget
    from blaze.dialects.changes import TableChange
    from blaze.dialects.migrating import MigrationLock, Rebuilder

__all__ = ["Codec", "Dialect", "ParamStyle"]

Codec = Callable[[Any], Any]
ParamStyle = Literal["qmark", "format", "numeric"]


class Dialect:
    """Know how one database, seen through one driver, spells and stores things; never touch a connection.

    Instances are immutable after construction and shared between threads; the caches only ever gain equal
    entries.
    """

    name: str = "ansi"
    driver: str = ""
    paramstyle: ParamStyle = "qmark"
    features: Features = Features()
    quote_char: str = '"'
    max_identifier_bytes: int = 128

    def __init__(self) -> None:
        self._quoted: dict[str, str] = {}
        self._encoders: dict[t.SQLType, Optional[Codec]] = {}
        self._decoders: dict[t.SQLType, Optional[Codec]] = {}
        self.memory: dict[Any, Any] = {}  # what the layers above have made for this dialect

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name}+{self.driver}>"
            if self.driver
            else f"<{type(self).__name__} {self.name}>"
        )

    @property
    def compiler(self) -> type[Any]:
        """Give the compiler class (a subclass of ``blaze.sql.compiler.Compiler``); backends import theirs
        here, late.
        """
        raise ConfigurationError(
            f"the dialect {self.name} names no compiler; use one of an installed backend"
        )

    # Text

    def quote(self, identifier: str) -> str:
        """Quote a name so that it can be nothing but a name; refuses empty names, NUL, and names that would
        be cut.
        """
        try:
            return self._quoted[identifier]
        except KeyError:
            pass
        if not isinstance(identifier, str) or not identifier or "\x00" in identifier:
            raise QueryError(f"{identifier!r} cannot be the name of a table or column")
        if len(identifier.encode("utf-8", "surrogatepass")) > self.max_identifier_bytes:
            raise QueryError(
                f"the name {identifier!r} is longer than the {self.max_identifier_bytes} bytes of {self.name}"
            )
        char = self.quote_char
        quoted = f"{char}{identifier.replace(char, char * 2)}{char}"
        if len(self._quoted) < 10_000:
            self._quoted[identifier] = quoted
        return quoted

    def placeholder(self, position: int) -> str:
        """Give the placeholder of the parameter at ``position``, counted from 1."""
        if self.paramstyle == "qmark":
            return "?"
        return "%s" if self.paramstyle == "format" else f"${position}"

    def parameter_forms(self, values: Sequence[Any]) -> tuple[str, ...]:
        """Give how each parameter of raw SQL is written, `{}` being its placeholder; () for all as they are.

        A form without a placeholder takes no parameter.
        """
        return ()

    def limit_offset(self, limit: Optional[str], offset: Optional[str]) -> str:
        """Render LIMIT and OFFSET, given as already rendered SQL; ``""`` when both are None."""
        if offset is None:
            return "" if limit is None else f" LIMIT {limit}"
        if limit is None and self.features.offset_needs_limit:
            limit = self.features.unlimited_limit
        return f" OFFSET {offset}" if limit is None else f" LIMIT {limit} OFFSET {offset}"

    def ignore_conflicts(self, columns: list[str]) -> str:
        """Give the end of an INSERT into these (quoted) columns that does nothing where the row is there."""
        return " ON CONFLICT DO NOTHING"

    def explain(self, sql: str) -> str:
        """Return the statement that gives the plan of a statement."""
        return f"EXPLAIN {sql}"

    def require(self, feature: str, what: str) -> None:
        """Raise CapabilityError, before any SQL is sent, when ``features.<feature>`` is false; ``what`` is
        for people.
        """
        if not getattr(self.features, feature):
            raise CapabilityError(
                f"{self.name} has no {what}; leave it out there: dialect.features.{feature} tells"
            )

    def isolation(self, name: str) -> str:
        """Give the canonical spelling of an isolation level, or raise ConfigurationError naming the valid
        ones.
        """
        canonical = " ".join(name.replace("_", " ").replace("-", " ").upper().split())
        if canonical not in self.features.isolation_levels:
            near = suggest(canonical, self.features.isolation_levels)
            raise ConfigurationError(f"{self.name} has no isolation level {name!r}{near}")
        return canonical

    # Types that stand in the schema themselves

    def create_types(self, types: Iterable[t.SQLType]) -> list[str]:
        """Give the statements that create what columns of these types need, unless it is there."""
        return []

    def drop_types(self, types: Iterable[t.SQLType]) -> list[str]:
        """Give the statements that drop what columns of these types needed and no other column does."""
        return []

    # Many rows in one statement; None leaves them to ``execute_many`` of the connection

    def insert_batch(self, table: str, columns: Sequence[BatchColumn], ending: str) -> Optional[Batch]:
        """Give the INSERT of many rows; `ending` follows it, such as a RETURNING clause.

        Generated keys must ascend in the order of the rows.
        """
        return None

    def update_batch(
        self, table: str, columns: Sequence[BatchColumn], keys: Sequence[BatchColumn]
    ) -> Optional[Batch]:
        """Give the UPDATE of many rows, each with values of its own; rows hold the new values, then the key.

        It counts the rows that it met, changed or not.
        """
        return None

    def delete_batch(self, table: str, keys: Sequence[BatchColumn]) -> Optional[Batch]:
        """Give the DELETE of many rows by key."""
        return None

    def copy_target(
        self, schema: Optional[str], table: str, columns: Sequence[BatchColumn]
    ) -> Optional[CopyTarget]:
        """Give where ``copy`` of a connection loads rows in bulk; the names are not quoted."""
        return None

    # DDL

    def type_ddl(self, type_: t.SQLType) -> str:
        """Give the type of a column as DDL spells it."""
        if isinstance(type_, t.Custom):
            return self.type_ddl(type_.storage)
        if isinstance(type_, t.String):
            return "TEXT" if type_.length is None else f"VARCHAR({type_.length})"
        if isinstance(type_, t.Numeric):
            return "NUMERIC" if type_.precision is None else f"NUMERIC({type_.precision}, {type_.scale or 0})"
        if isinstance(type_, t.DateTime):
            return "TIMESTAMP WITH TIME ZONE" if type_.timezone else "TIMESTAMP"
        if isinstance(type_, t.Array):
            return self.type_ddl(t.Json())
        try:
            return self.ddl_words[type(type_)]
        except KeyError:
            raise CapabilityError(f"{self.name} has no column type for {type_!r}") from None

    # The words of the types without parameters; a backend gives its own: `{**Dialect.ddl_words, ...}`.
    ddl_words: dict[type, str] = {
        t.Boolean: "BOOLEAN",
        t.Integer: "BIGINT",
        t.Integer32: "INTEGER",
        t.Float: "DOUBLE PRECISION",
        t.Binary: "BLOB",
        t.Date: "DATE",
        t.Time: "TIME",
        t.Interval: "BIGINT",
        t.Uuid: "CHAR(36)",
        t.Json: "TEXT",
    }

    @property
    def identity_ddl(self) -> str:
        """Give the DDL after the name of a key column that the database numbers."""
        return "BIGINT GENERATED BY DEFAULT AS IDENTITY"

    def before_identity(self) -> Optional[str]:
        """Give the statement that runs before a table with such a key is created, None where none is needed;
        it does nothing when it has run before.
        """
        return None

    def alter_table(self, table: str, change: TableChange) -> Optional[list[str]]:
        """Give the statements that change a table (a quoted name), or None: its `rebuilder` has to do it."""
        from blaze.dialects.changes import alter_table

        return alter_table(self, table, change)

    def drop_index(self, table: str, index: str) -> str:
        """Give the statement that drops an index; both names are quoted, the index's with its schema."""
        return f"DROP INDEX {index}"

    # Migrations

    def rebuilder(self) -> Rebuilder:
        """Give what makes a table anew, for the changes to which `alter_table` has no statements."""
        raise CapabilityError(f"{self.name} rebuilds no tables")

    def migration_lock(self, transaction: bool) -> Optional[MigrationLock]:
        """Give the lock that one runner of migrations holds at a time, with or without a transaction.

        None means that the database has none; without a transaction nothing can be migrated then.
        """
        return None

    def table_exists(self, schema: bool) -> str:
        """Give the query that counts the tables with a name and, on request, a schema: its parameters."""
        place = self.placeholder(2) if schema else "CURRENT_SCHEMA"
        return (
            "SELECT count(*) FROM information_schema.tables"
            f" WHERE table_name = {self.placeholder(1)} AND table_schema = {place}"
        )

    def is_already_done(self, error: DatabaseError) -> bool:
        """Say whether a statement failed because what it makes is there, or what it drops is gone.

        Asked only for the one statement of which a migration that broke off does not know whether it ran.
        """
        return False

    def current_timestamp(self, type_: t.SQLType) -> str:
        """Give the SQL of the present moment in the form in which values of ``type_`` are stored."""
        if isinstance(type_, t.Date):
            return "CURRENT_DATE"
        return "CURRENT_TIME" if isinstance(type_, t.Time) else "CURRENT_TIMESTAMP"

    def default_text(self, text: str, type_: t.SQLType) -> str:
        """Give the SQL text of a default as it must stand in the definition of a column of this type."""
        return text

    def generated_text(self, text: str, type_: t.SQLType) -> str:
        """Give the expression of a generated column of this type as it must stand in its definition; raise
        `CapabilityError` for one that the database would not calculate exactly.
        """
        return text

    def default_literal(self, value: Any, type_: t.SQLType) -> str:
        """Render a Python value as the literal of a DEFAULT clause; refuses what the type cannot hold."""
        if value is None:
            return "NULL"
        problem = type_.check(value)
        if problem:
            raise QueryError(f"the default does not fit: {problem}")
        encoder = self.encoder(type_)
        return self.literal(value if encoder is None else encoder(value))

    def literal(self, value: Any) -> str:
        """Render a value that is already in the driver's form as a SQL literal (DDL only; queries bind their
        values).
        """
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return ("TRUE" if value else "FALSE") if self.features.boolean_literals else str(int(value))
        if isinstance(value, float):
            return self.float_literal(value)
        if isinstance(value, (int, decimal.Decimal)):
            return str(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self.binary_literal(bytes(value))
        if isinstance(value, (dt.date, dt.time, uuid.UUID)):
            value = str(value)
        if isinstance(value, str):
            return self.string_literal(value)
        raise QueryError(f"a {type(value).__name__} cannot be written as a SQL literal")

    def float_literal(self, value: float) -> str:
        """Render a float as a SQL literal."""
        return repr(value)

    def binary_literal(self, value: bytes) -> str:
        """Render bytes as a SQL literal."""
        return f"X'{value.hex()}'"

    def string_literal(self, value: str) -> str:
        """Render a text as a SQL literal; raises QueryError for a NUL character."""
        if "\x00" in value:
            raise QueryError("a text with a NUL character cannot be written as a SQL literal")
        doubled = value.replace("'", "''")
        return f"'{doubled}'"

    # Values at the driver's edge

    def encoder(self, type_: t.SQLType) -> Optional[Codec]:
        """Give the function from a Python value of this type to what the driver takes; None passes it
        unchanged.

        Never called with None. The same object is given for equal types.
        """
        try:
            return self._encoders[type_]
        except KeyError:
            codec = self._encoders[type_] = self._compose(type_, encode=True)
            return codec

    def decoder(self, type_: t.SQLType) -> Optional[Codec]:
        """Give the function from what the driver reads to the Python value; None passes it unchanged.

        Never called with None. The same object is given for equal types.
        """
        try:
            return self._decoders[type_]
        except KeyError:
            codec = self._decoders[type_] = self._compose(type_, encode=False)
            return codec

    def _compose(self, type_: t.SQLType, encode: bool) -> Optional[Codec]:
        if not isinstance(type_, t.Custom) or self.is_native(type_):
            if encode:
                return self.make_encoder(type_)
            made = self.make_decoder(type_)
            if not isinstance(type_, t.Json) or type_.root is None:
                return made
            from blaze.dialects.codecs import rooted

            return rooted(made, type_.python_type)
        if encode:
            return _chain(type_.to_storage(), self.encoder(type_.storage))
        return _chain(self.decoder(type_.storage), type_.from_storage())

    def referring_sql(self, tables: Sequence[str]) -> Optional[tuple[str, tuple[Any, ...]]]:
        """Give the query for (other table, table) where another table refers to one of these, and its
        parameters; None where DROP TABLE refuses that by itself.
        """
        return None

    def is_native(self, type_: t.Custom) -> bool:
        """Say whether this dialect converts the custom type itself."""
        return False

    def make_encoder(self, type_: t.SQLType) -> Optional[Codec]:
        """Build the encoder of a type; override per backend."""
        return None

    def make_decoder(self, type_: t.SQLType) -> Optional[Codec]:
        """Build the decoder of a type; override per backend."""
        return None


def _chain(first: Optional[Codec], second: Optional[Codec]) -> Optional[Codec]:
    if first is None or second is None:
        return first or second
    inner, outer = first, second
    return lambda value: outer(inner(value))
