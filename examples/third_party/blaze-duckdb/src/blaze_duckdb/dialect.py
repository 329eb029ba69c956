"""What DuckDB is like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from blaze.dialects import types as t
from blaze.dialects.dialect import Codec, Dialect
from blaze.dialects.features import Features, Lexis
from blaze.errors import CapabilityError
from blaze_duckdb import codecs

if TYPE_CHECKING:
    from blaze.dialects.changes import TableChange
    from blaze.dialects.migrating import MigrationLock
    from blaze_duckdb.reindexing import Reindexer

__all__ = ["DuckDBDialect"]

# DuckDB checks foreign keys too early to delete parent and child in one transaction, and has no ON DELETE.
FEATURES = Features(
    lexis=Lexis(dollar_quotes=True),
    returning=True,
    update_returning=True,
    delete_returning=True,
    default_key="DEFAULT",
    on_conflict=True,
    max_bind_params=30_000,
    array_param="json_each",
    window_frames_exclude=True,
    grouping_sets=True,
    lateral=True,
    distinct_on=True,
    json_paths=True,
    savepoints=False,
    transactional_ddl=True,
    begin_on_read=False,
    isolation_levels=("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ"),
    default_isolation="REPEATABLE READ",
    comments=True,
    generated_columns=False,  # only virtual ones, and Blaze's are stored
    constraint_names=False,
    foreign_keys=False,
    add_constraint=False,
    expression_indexes=True,
)


class DuckDBDialect(Dialect):
    """Know how DuckDB spells and stores things.

    Moments are kept in UTC without a zone; decimals without precision have 28 digits before the point and 10
    after it. Each isolation level gives a snapshot of the database, the only one DuckDB has.
    """

    name = "duckdb"
    driver = "duckdb"
    features = FEATURES
    max_identifier_bytes = 10_000

    @property
    def compiler(self) -> type[Any]:
        """Give the compiler class, imported late: a dialect is knowledge and loads nothing before it is
        asked.
        """
        from blaze_duckdb.compiler import DuckDBCompiler

        return DuckDBCompiler

    ddl_words = {**Dialect.ddl_words, t.Float: "DOUBLE", t.Uuid: "UUID", t.Json: "JSON"}

    def type_ddl(self, type_: t.SQLType) -> str:
        if isinstance(type_, t.Numeric) and type_.precision is None:
            return f"DECIMAL(38, {codecs.PLACES})"
        return "TIMESTAMP" if isinstance(type_, t.DateTime) else super().type_ddl(type_)

    # One sequence numbers the keys of all tables: a table cannot have one of its own that goes with it.
    @property
    def identity_ddl(self) -> str:
        return "BIGINT DEFAULT nextval('blaze_keys')"

    def before_identity(self) -> str:
        return "CREATE SEQUENCE IF NOT EXISTS blaze_keys"

    def alter_table(self, table: str, change: TableChange) -> Optional[list[str]]:
        from blaze.dialects.changes import AddedColumn, AddedConstraint, DroppedConstraint

        if isinstance(change, (AddedConstraint, DroppedConstraint)):
            raise CapabilityError(
                "duckdb changes no constraints of a table that exists: make a new one and copy the rows"
            )
        if isinstance(change, AddedColumn) and not change.nullable:
            raise CapabilityError(
                f"duckdb adds no column that must have a value: let {change.name!r} be nullable, or fill it"
                " and alter it afterwards"
            )
        return super().alter_table(table, change) if isinstance(change, AddedColumn) else None

    def rebuilder(self) -> Reindexer:
        """Give what changes tables that have indexes."""
        from blaze_duckdb.reindexing import Reindexer

        return Reindexer(self)

    def migration_lock(self, transaction: bool) -> Optional[MigrationLock]:
        """Let the transaction itself lock: of two runners the second meets a conflict, and nothing of it
        stays. A file is open in one process only.
        """
        from blaze.dialects.migrating import MigrationLock

        return MigrationLock() if transaction else None

    def current_timestamp(self, type_: t.SQLType) -> str:
        moment = "make_timestamp(epoch_us(now()))"  # in UTC, whatever the time zone of the session
        if isinstance(type_, (t.Date, t.Time)):
            return f"CAST({moment} AS {self.type_ddl(type_)})"
        return moment

    def float_literal(self, value: float) -> str:
        return f"CAST('{value!r}' AS DOUBLE)"

    def binary_literal(self, value: bytes) -> str:
        return f"unhex('{value.hex()}')"

    def make_encoder(self, type_: t.SQLType) -> Optional[Codec]:
        return codecs.encoder(type_)

    def make_decoder(self, type_: t.SQLType) -> Optional[Codec]:
        return codecs.decoder(type_)
