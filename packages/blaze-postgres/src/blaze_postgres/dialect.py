"""What PostgreSQL is like."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Optional

from blaze.dialects import types as t
from blaze.dialects.batches import Batch, BatchColumn, CopyTarget
from blaze.dialects.dialect import Codec, Dialect
from blaze.dialects.features import Features, Lasting, Lexis
from blaze.dialects.migrating import MigrationLock
from blaze_postgres import batches, codecs, native

__all__ = ["PostgresDialect"]

_MIGRATIONS = int.from_bytes(b"blazemig", "big")  # the key of the lock that a runner of migrations holds

FEATURES = Features(
    lexis=Lexis(nested_comments=True, dollar_quotes=True),
    lasting=Lasting(
        words=frozenset(
            ["SET", "RESET", "DISCARD", "PREPARE", "DEALLOCATE", "DECLARE", "LISTEN", "UNLISTEN", "LOAD"]
        ),
        calls=frozenset(
            ["SET_CONFIG"]
            + [f"PG_{how}ADVISORY_LOCK{kind}" for how in ("", "TRY_") for kind in ("", "_SHARED")]
        ),
    ),
    returning=True,
    lone_statements=True,
    joined_savepoints=True,
    row_batches=True,
    copy=True,
    keys_checked_late=True,
    update_returning=True,
    delete_returning=True,
    default_key="DEFAULT",
    on_conflict=True,
    data_modifying_cte=True,
    max_bind_params=32_767,
    array_param="any",
    window_frames_exclude=True,
    grouping_sets=True,
    lateral=True,
    distinct_on=True,
    for_update=True,
    for_share=True,
    skip_locked=True,
    nowait=True,
    for_update_of=True,
    json_paths=True,
    transactional_ddl=True,
    begin_on_read=False,
    comments=True,
    cuts_names=True,
    deferrable_constraints=True,
    defer_foreign_keys="SET CONSTRAINTS ALL DEFERRED",
    partial_indexes=True,
    expression_indexes=True,
    native_interval=True,
    stream_in_transaction=True,
)


class PostgresDialect(Dialect):
    """Know how PostgreSQL spells and stores things, seen through psycopg2 or asyncpg.

    Texts are declared with the collation "C", so that they sort by code points as on every other backend;
    letter case is folded by ICU's rules for all languages.
    """

    name = "postgresql"
    max_identifier_bytes = 63

    def __init__(self, driver: str = "psycopg2") -> None:
        super().__init__()
        self.driver = driver
        self.paramstyle = "format" if driver == "psycopg2" else "numeric"
        self.features = FEATURES
        self.pooled = False  # a pooler hands each transaction another session of the server

    @property
    def compiler(self) -> type[Any]:
        from blaze_postgres.compiler import PostgresCompiler

        return PostgresCompiler

    ddl_words = {
        **Dialect.ddl_words,
        t.Binary: "BYTEA",
        t.Interval: "INTERVAL",
        t.Uuid: "UUID",
        t.Json: "JSONB",
    }

    def type_ddl(self, type_: t.SQLType) -> str:
        if isinstance(type_, t.String):
            return f'{self.type_name(type_)} COLLATE "C"'
        return self.type_name(type_)

    def type_name(self, type_: t.SQLType) -> str:
        """Give the name of a type as casts spell it: without a collation."""
        own = native.name_of(self, type_)
        if own is not None:
            return own
        if isinstance(type_, t.Custom):
            return self.type_name(type_.storage)
        if isinstance(type_, t.Array):
            return f"{self.type_name(type_.item)}[]"
        if isinstance(type_, t.String):
            return "TEXT" if type_.length is None else f"VARCHAR({type_.length})"
        return super().type_ddl(type_)

    def open_type(self, type_: t.SQLType) -> str:
        """Give the name of a type without its limits: a cast to those cuts texts and rounds decimals."""
        own = native.name_of(self, type_)
        if own is not None:
            return own
        type_ = codecs.stored(type_)
        if isinstance(type_, t.Array):
            return f"{self.open_type(type_.item)}[]"
        if isinstance(type_, t.String):
            return "TEXT"
        return "NUMERIC" if isinstance(type_, t.Numeric) else self.type_name(type_)

    def create_types(self, types: Iterable[t.SQLType]) -> list[str]:
        return native.create_types(self, types)

    def drop_types(self, types: Iterable[t.SQLType]) -> list[str]:
        return native.drop_types(self, types)

    def parameter_forms(self, values: Sequence[Any]) -> tuple[str, ...]:
        from blaze_postgres.parameters import parameter_forms

        return parameter_forms(values, self.driver == "psycopg2")

    def insert_batch(self, table: str, columns: Sequence[BatchColumn], ending: str) -> Optional[Batch]:
        return batches.insert_batch(self, table, columns, ending)

    def update_batch(
        self, table: str, columns: Sequence[BatchColumn], keys: Sequence[BatchColumn]
    ) -> Optional[Batch]:
        return batches.update_batch(self, table, columns, keys)

    def delete_batch(self, table: str, keys: Sequence[BatchColumn]) -> Optional[Batch]:
        return batches.delete_batch(self, table, keys)

    def copy_target(
        self, schema: Optional[str], table: str, columns: Sequence[BatchColumn]
    ) -> Optional[CopyTarget]:
        return batches.copy_target(self, schema, table, columns) if self.features.copy else None

    def current_timestamp(self, type_: t.SQLType) -> str:
        if isinstance(type_, t.DateTime) and type_.timezone:
            return "CURRENT_TIMESTAMP"
        local = "(CURRENT_TIMESTAMP AT TIME ZONE 'UTC')"
        if isinstance(type_, t.Date):
            return f"{local}::date"
        return f"{local}::time" if isinstance(type_, t.Time) else local

    def migration_lock(self, transaction: bool) -> Optional[MigrationLock]:
        # A lock of the session would be granted to two clients behind a pooler: where it can, it is the
        # transaction's.
        if transaction:
            return MigrationLock(
                f"SELECT pg_try_advisory_xact_lock({_MIGRATIONS})", isolation="READ COMMITTED"
            )
        if self.pooled:
            return None
        return MigrationLock(
            f"SELECT pg_try_advisory_lock({_MIGRATIONS})", f"SELECT pg_advisory_unlock({_MIGRATIONS})"
        )

    def float_literal(self, value: float) -> str:
        if value in (float("inf"), float("-inf")):
            return "'Infinity'::float8" if value > 0 else "'-Infinity'::float8"
        text = repr(value)
        return "'-0'::float8" if text == "-0.0" else text  # which alone is a decimal, without the sign

    def binary_literal(self, value: bytes) -> str:
        return f"'\\x{value.hex()}'::bytea"

    def make_encoder(self, type_: t.SQLType) -> Optional[Codec]:
        direct = self.driver != "psycopg2"
        if isinstance(type_, t.Array):
            return codecs.array_encoder(type_.item, self.encoder(type_.item), direct)
        return native.encoder(self, type_) if native.is_native(type_) else codecs.encoder(type_, direct)

    def make_decoder(self, type_: t.SQLType) -> Optional[Codec]:
        if isinstance(type_, t.Array):
            return codecs.array_decoder(self.decoder(type_.item))
        if native.is_native(type_):
            return native.decoder(self, type_)
        return codecs.decoder(type_, self.driver != "psycopg2")
