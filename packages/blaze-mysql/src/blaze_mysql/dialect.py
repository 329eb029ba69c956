"""What MySQL and MariaDB are like."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Optional

from blaze.dialects import types as t
from blaze.dialects.batches import Batch, BatchColumn
from blaze.dialects.changes import AlteredColumn, DroppedConstraint, TableChange
from blaze.dialects.dialect import Codec, Dialect
from blaze.dialects.features import Features, Lasting, Lexis
from blaze.dialects.migrating import MigrationLock
from blaze.errors import CapabilityError, DatabaseError
from blaze_mysql import batches, codecs

__all__ = ["MySQLDialect", "Server"]

# Tables, columns, keys and constraints that are there already, or are gone.
_ALREADY_DONE = frozenset({"1050", "1051", "1060", "1061", "1091", "1826", "3822"})
_SAME_KEY = re.compile(r"\(\w+: 121 ")
_LASTING = Lasting(
    words=frozenset(["SET", "USE", "PREPARE", "DEALLOCATE", "LOCK", "FLUSH", "HANDLER"]),
    calls=frozenset(["GET_LOCK"]),
)
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


class Server:
    """Which server it is, as its version text says: ``8.4.0`` or ``10.11.6-MariaDB-log``.

    ``key_step`` is by how much generated keys of one INSERT of rows go up; 0 where the server does not
    guarantee that nothing comes between them.
    """

    def __init__(self, text: str, key_step: int = 0) -> None:
        self.key_step = key_step
        # Before version 11 MariaDB says 5.5.5-10.x, for clients that know no MySQL with two digits.
        text = text[6:] if text.startswith("5.5.5-") else text
        match = _VERSION.match(text)
        self.mariadb = "mariadb" in text.lower()
        self.version: tuple[int, ...] = (
            tuple(int(part or 0) for part in match.groups()) if match else (8, 0, 0)
        )


def features(server: Server) -> Features:
    """Give the capabilities of a server."""
    maria, version = server.mariadb, server.version
    return Features(
        lexis=Lexis(backslash_escapes=True, hash_comments=True, spaced_dashes=True),
        lasting=_LASTING,
        returning=maria and version >= (10, 5),
        consecutive_keys=server.key_step,
        default_key="DEFAULT",
        delete_returning=maria and version >= (10, 0),
        on_conflict=True,
        conflict_rows=False,
        lone_statements=True,
        joined_savepoints=True,
        row_batches=maria or version >= (8, 0, 19),  # VALUES ROW(...)
        max_bind_params=1_000_000,  # the drivers write values into the text: only its length has a limit
        max_values_length=batches.RowsBatch.length,
        array_param="expand",
        filter_clause=True,  # written as CASE
        lateral=not maria and version >= (8, 0, 14),
        full_join=False,
        intersect_except=maria or version >= (8, 0, 31),
        nulls_order=False,
        for_update=True,
        for_share=True,
        skip_locked=version >= (10, 6) if maria else version >= (8, 0, 1),
        nowait=version >= (10, 3) if maria else version >= (8, 0, 1),
        for_update_of=not maria and version >= (8, 0, 1),
        offset_needs_limit=True,
        unlimited_limit="18446744073709551615",
        json_paths=True,
        begin_on_read=False,
        default_isolation="READ COMMITTED",
        comments=False,
        generated_not_null=not maria,
        update_rules_beside_checks=False,
    )


class MySQLDialect(Dialect):
    """Know how MySQL and MariaDB spell and store things.

    ``version`` is the version text of the server. Left out, `identify` is asked for it when a capability is
    looked at for the first time, or MySQL 8 is assumed.
    """

    name = "mysql"
    paramstyle = "format"
    quote_char = "`"
    max_identifier_bytes = 64

    def __init__(self, driver: str = "pymysql", version: Optional[str] = None) -> None:
        super().__init__()
        self.driver = driver
        self.identify: Optional[Callable[[], Server]] = None
        self._server = None if version is None else Server(version)
        self._features: Optional[Features] = None
        self.snapshots = False  # a read belongs to the session's transaction

    @property
    def server(self) -> Server:
        """Give which server it is."""
        if self._server is None:
            self._server = self.identify() if self.identify is not None else Server("8.4.0")
        return self._server

    def know(self, version: str) -> None:
        """Take note of the version that a connection was told, where nothing else has to be asked."""
        if self._server is None:
            server = Server(version)
            if features(server).returning:
                self._server = server

    @property
    def features(self) -> Features:  # type: ignore[override]
        """Give the capabilities, which depend on the server."""
        found = self._features
        if found is None:
            found = self._features = features(self.server)._replace(begin_on_read=self.snapshots)
        return found

    @property
    def compiler(self) -> type[Any]:
        from blaze_mysql.compiler import MySQLCompiler

        return MySQLCompiler

    # Many rows

    def insert_batch(self, table: str, columns: Sequence[BatchColumn], ending: str) -> Optional[Batch]:
        return batches.insert_batch(table, columns, ending) if self.features.row_batches else None

    def update_batch(
        self, table: str, columns: Sequence[BatchColumn], keys: Sequence[BatchColumn]
    ) -> Optional[Batch]:
        return batches.update_batch(self, table, columns, keys) if self.features.row_batches else None

    def delete_batch(self, table: str, keys: Sequence[BatchColumn]) -> Optional[Batch]:
        return batches.delete_batch(table, keys) if self.features.row_batches else None

    # DDL

    @property
    def collation(self) -> str:
        """Give the collation under which texts are equal and sort by their code points, blanks included."""
        return "utf8mb4_nopad_bin" if self.server.mariadb else "utf8mb4_0900_bin"

    ddl_words = {
        **Dialect.ddl_words,
        t.Boolean: "BOOLEAN",
        t.Float: "DOUBLE",
        t.Binary: "LONGBLOB",
        t.Time: "TIME(6)",
        t.Interval: "BIGINT",
        t.Uuid: "CHAR(36) CHARACTER SET ascii COLLATE ascii_bin",
        t.Json: "JSON",
    }

    def type_ddl(self, type_: t.SQLType) -> str:
        if isinstance(type_, t.String):
            name = "LONGTEXT" if type_.length is None else f"VARCHAR({type_.length})"
            return f"{name} CHARACTER SET utf8mb4 COLLATE {self.collation}"
        if isinstance(type_, t.Numeric):
            return "DECIMAL(65, 30)" if type_.precision is None else super().type_ddl(type_)
        if isinstance(type_, t.DateTime):
            return "DATETIME(6)"
        return super().type_ddl(type_)

    @property
    def identity_ddl(self) -> str:
        return "BIGINT AUTO_INCREMENT"

    def alter_table(self, table: str, change: TableChange) -> Optional[list[str]]:
        if isinstance(change, AlteredColumn):
            found = [f"ALTER TABLE {table} MODIFY {change.definition}"]
            if change.using is not None:
                found.insert(0, f"UPDATE {table} SET {self.quote(change.name)} = {change.using}")
            return found
        if isinstance(change, DroppedConstraint):
            name = self.quote(change.name)
            kind = {"FOREIGN KEY": "FOREIGN KEY", "UNIQUE": "INDEX", "CHECK": "CONSTRAINT"}
            return [f"ALTER TABLE {table} DROP {kind.get(change.kind, 'CONSTRAINT')} {name}"]
        return super().alter_table(table, change)

    def drop_index(self, table: str, index: str) -> str:
        return f"DROP INDEX {index} ON {table}"

    def migration_lock(self, transaction: bool) -> Optional[MigrationLock]:
        name = "CONCAT('blaze migrations ', DATABASE())"
        return MigrationLock(f"SELECT GET_LOCK({name}, 0)", f"SELECT RELEASE_LOCK({name})")

    def table_exists(self, schema: bool) -> str:
        return super().table_exists(schema).replace("CURRENT_SCHEMA", "DATABASE()")

    def is_already_done(self, error: DatabaseError) -> bool:
        # MariaDB tells of a foreign key that is there only by the number in the text.
        return error.code in _ALREADY_DONE or (
            error.code == "1005" and _SAME_KEY.search(str(error)) is not None
        )

    def current_timestamp(self, type_: t.SQLType) -> str:
        if isinstance(type_, t.Date):
            return "UTC_DATE()"
        return "UTC_TIME(6)" if isinstance(type_, t.Time) else "UTC_TIMESTAMP(6)"

    def explain(self, sql: str) -> str:
        return f"EXPLAIN FORMAT=JSON {sql}"

    def ignore_conflicts(self, columns: list[str]) -> str:
        """Give the end of an INSERT that does nothing where the row is there; INSERT IGNORE hides errors."""
        return f" ON DUPLICATE KEY UPDATE {columns[0]} = {columns[0]}"

    def float_literal(self, value: float) -> str:
        if value in (float("inf"), float("-inf")):
            raise CapabilityError("mysql has no infinite numbers")
        return repr(value)

    def string_literal(self, value: str) -> str:
        return super().string_literal(value.replace("\\", "\\\\"))

    def make_encoder(self, type_: t.SQLType) -> Optional[Codec]:
        return codecs.encoder(type_)

    def make_decoder(self, type_: t.SQLType) -> Optional[Codec]:
        return codecs.decoder(type_)
