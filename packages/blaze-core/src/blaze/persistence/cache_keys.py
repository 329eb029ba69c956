"""How rows stand in the cache: their keys, and rows as plain data.

A key names the database, the table of the model at the root of an inheritance, and the primary key, and
nothing else: whoever changes the row can name it, whichever version of the program, driver or class of a
hierarchy has stored it. What was stored by another one is told by the `version` inside the value.
"""

from __future__ import annotations

import datetime as dt
import marshal
import uuid
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Optional
from zlib import crc32

from blaze.cache.stored import UnstorableError, freeze, thaw

if TYPE_CHECKING:
    from blaze.core.codec import ModelCodec
    from blaze.core.mapper import Mapper
    from blaze.sql.table import Table

# The entry of a value that says whose it is, and whether it is whole; no column can have that name.
STAMP = "#"


def table_text(table: Table) -> str:
    """Return the name of a table in keys."""
    return f"{table.schema}.{table.name}" if table.schema else table.name


def key_text(key: Any) -> Optional[str]:
    """Return a primary key as text, None for one that has no single spelling.

    Equal keys must give equal texts, whether they come from a row, from an object or from a caller: that is
    true of whole numbers, texts, UUIDs, bytes, dates and members of enums, but not of decimals (1 and 1.00).
    """
    kind = key.__class__
    if kind is int:
        return str(key)
    if kind is tuple:
        parts = [key_text(part) for part in key]
        if None in parts:
            return None
        return ",".join([f"{len(part)}:{part}" for part in parts if part is not None])
    if isinstance(key, Enum):
        return f"e{key.name}"
    if isinstance(key, int):
        return str(int(key))
    if isinstance(key, str):
        return f"s{key}"
    if isinstance(key, uuid.UUID):
        return f"u{key.hex}"
    if isinstance(key, (bytes, bytearray, memoryview)):
        return f"b{bytes(key).hex()}"
    if isinstance(key, dt.date) and not isinstance(key, dt.datetime):
        return f"d{key.isoformat()}"
    return None


class CachedRows:
    """The rows of one model in the cache of one database: rows as dicts, as they came from the driver.

    `token` is the key of the generation of the table's rows: a value that holds another generation does not
    count, so dropping the token drops them all.
    """

    __slots__ = ("_names", "_pk", "codec", "prefix", "token", "version")

    def __init__(self, codec: ModelCodec, database: str) -> None:
        mapper = codec.mapper
        self.codec = codec
        self.token, self.prefix = table_keys(database, root_table(mapper))
        names = [attribute.name for attribute in codec.attributes]
        self._names = tuple(  # models that derive from one may have fields of one name
            a.name if names.count(a.name) == 1 else f"{a.column.table.name}.{a.column.name}"
            for a in codec.attributes
        )
        self._pk = [(codec.attributes.index(attribute), attribute) for attribute in mapper.pk]
        self.version = version_of(codec)

    def row_key(self, key: Any) -> Optional[str]:
        """Return the key of a row in the cache."""
        text = key_text(key)
        return None if text is None else self.prefix + text

    def freeze(self, row: Sequence[Any], generation: str) -> Optional[tuple[str, dict[str, Any]]]:
        """Return key and value for a row; None for one that cannot be cached."""
        decode = self.codec.decode
        parts = tuple([decode(attribute, row[position]) for position, attribute in self._pk])
        key = self.row_key(parts[0] if len(parts) == 1 else parts)
        if key is None:
            return None
        value: dict[str, Any] = {}
        try:
            for name, item in zip(self._names, row):
                value[name] = freeze(item)
            value[STAMP] = self._stamp(generation, key, list(value.values()))
        except (UnstorableError, ValueError, RecursionError):  # or nested too deeply
            return None
        return key, value

    def thaw(self, key: Optional[str], value: Any, generation: str) -> Optional[tuple[Any, ...]]:
        """Return the row under a key; None for what is of another generation or version, or is not what was
        stored there.
        """
        if value.__class__ is not dict:
            return None
        try:
            items = [value[name] for name in self._names]
            if value.get(STAMP) != self._stamp(generation, key, items):
                return None
            return tuple([thaw(item) for item in items])
        except (KeyError, ValueError):  # what is nested too deeply is not ours, either
            return None

    def _stamp(self, generation: str, key: Optional[str], items: list[Any]) -> str:
        # A cache is shared with others, and a value of the wrong type or row would be believed by everybody
        # who asks. A sum of key and values costs less than to look at the type of each, 1 µs; `marshal` is
        # the quickest way to bytes (its version 2 gives equal ones for equal data), and nothing is ever read
        # by it.
        return f"{generation}/{self.version}/{crc32(marshal.dumps((key, items), 2)):x}"


def root_table(mapper: Mapper) -> Table:
    """Return the table that names a model's rows in the cache: that of the base of its hierarchy."""
    return mapper.base.table


def table_keys(database: str, table: Table) -> tuple[str, str]:
    """Return the key of a table's generation, and what the keys of its rows begin with."""
    place = f"{database}|{table_text(table)}|"
    return f"#{place}", f"blaze|{place}"


def version_of(codec: ModelCodec) -> str:
    """Return a short hash of what a row holds: columns, their types, and how the driver gives them."""
    from hashlib import sha256

    mapper = codec.mapper
    parts = [
        f"{a.name} {a.column.name} {a.type!r} {a.nullable} {_decoder_name(codec, a)}"
        for a in codec.attributes
    ]
    deferred = [a.name for a in mapper.columns if a not in codec.attributes]
    text = "\n".join([type(codec.dialect).__qualname__, mapper.where, *parts, *deferred])
    return sha256(text.encode()).hexdigest()[:12]


def _decoder_name(codec: ModelCodec, attribute: Any) -> str:
    decoder = codec.dialect.decoder(attribute.type)
    return getattr(decoder, "__qualname__", type(decoder).__qualname__)
