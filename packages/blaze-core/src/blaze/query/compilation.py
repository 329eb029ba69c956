"""Compiled queries of one dialect: found by the query's key, made once for each shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional

from blaze.core.codec import ModelCodec
from blaze.core.loaders import Shape, make_entity_loader, make_row_loader
from blaze.query.build import Built, build
from blaze.query.looking_up import looked_up
from blaze.query.row import row_class
from blaze.sql.cache import StatementCache
from blaze.sql.walk import too_deep

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper
    from blaze.dialects.dialect import Dialect
    from blaze.query.query import Query

# The most shapes that are kept; when full, the older half goes.
LIMIT = 2048


class CompiledQuery:
    """The text of a query, how to take its parameters, and what its rows make."""

    __slots__ = (
        "compiled",
        "includes",
        "lazy",
        "load",
        "looked_up",
        "params",
        "portions",
        "sql",
        "whole",
        "writes",
        "written",
    )

    def __init__(self, compiled: Any, load: Callable[..., Any], built: Built) -> None:
        self.compiled = compiled
        self.sql: str = compiled.sql
        self.params: Callable[[tuple[Any, ...]], Sequence[Any]] = compiled.params
        self.load = load
        self.includes = tuple(built.includes)
        self.portions = built.portions
        self.whole = built.whole
        self.lazy: Optional[str] = built.lazy
        self.writes = built.locks
        self.written = built.changing
        self.looked_up: Any = None  # see looking_up.py

    def render(self, binds: tuple[Any, ...]) -> tuple[str, Sequence[Any]]:
        """Return text and parameters for these values."""
        if self.compiled.dynamic:
            text, params = self.compiled.render(binds)
            return text, params
        return self.sql, self.params(binds)


class Codecs(dict):  # type: ignore[type-arg]
    """The codec of every model for one dialect, made at the first look-up."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__()
        self.dialect = dialect

    def __missing__(self, mapper: Mapper) -> ModelCodec:
        codec = self[mapper] = ModelCodec(mapper, self.dialect)
        return codec


class Compilation:
    """Everything compiled for one dialect: codecs by mapper, queries by key."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.codecs = Codecs(dialect)
        self._queries = StatementCache(LIMIT)
        self._statements = StatementCache(LIMIT)

    @classmethod
    def of(cls, dialect: Dialect) -> Compilation:
        """Return the one compilation of a dialect."""
        found: Optional[Compilation] = dialect.memory.get(cls)
        if found is not None:
            return found
        made: Compilation = dialect.memory.setdefault(cls, cls(dialect))
        return made

    def query(self, query: Query[Any], variant: str = "rows") -> CompiledQuery:
        """Return the compiled form of a query."""
        key = query.key if variant == "rows" else (query.key, variant)
        found: Optional[CompiledQuery] = self._queries.get(key)
        if found is None:
            try:
                found = self._compile(query, variant)
            except RecursionError:
                raise too_deep() from None
            found.looked_up = looked_up(query)
            self._queries.add(key, found)
        return found

    def statement(self, statement: Any) -> Any:
        """Compile a statement that is not kept."""
        try:
            return self.dialect.compiler(self.dialect).compile(statement)
        except RecursionError:
            raise too_deep() from None

    def kept(self, statement: Any) -> Any:
        """Return the compiled form of a statement whose shape comes again: it is kept by its key."""
        found = self._statements.get(statement.key)
        if found is None:
            found = self._statements.add(statement.key, self.statement(statement))
        return found

    def _compile(self, query: Query[Any], variant: str) -> CompiledQuery:
        built = build(query, variant, True)
        compiled = self.statement(built.statement)
        if variant != "rows":
            return CompiledQuery(compiled, any_row if variant == "exists" else first_value, built)
        if built.shape is not None:
            codec = self.codecs[built.shape.mapper]
            if not built.extras and not built.shape.joined and built.shape.attributes == codec.attributes:
                return CompiledQuery(compiled, codec.load, built)
            extras = [(name, self._decoder(type_)) for name, type_ in built.extras]
            return CompiledQuery(compiled, make_entity_loader(built.shape, self.dialect, extras), built)
        parts = [part if isinstance(part, Shape) else self._decoder(part) for part in built.parts]
        return CompiledQuery(
            compiled, make_row_loader(parts, self.dialect, row_class(tuple(built.labels))), built
        )

    def _decoder(self, type_: Any) -> Any:
        return None if type_ is None else self.dialect.decoder(type_)


def query_sql(query: Query[Any], dialect: Dialect) -> tuple[str, tuple[Any, ...]]:
    """Return text and parameters of a query for a dialect."""
    text, params = Compilation.of(dialect).query(query).render(query.binds)
    return text, tuple(params)


def any_row(rows: Any, identity: Any, session: Any, lazy: Any) -> bool:
    """Return whether there is a row."""
    return any(True for _ in rows)


def first_value(rows: Any, identity: Any, session: Any, lazy: Any) -> Any:
    """Return the first column of the first row, None when there is no row."""
    for row in rows:
        return row[0]
    return None
