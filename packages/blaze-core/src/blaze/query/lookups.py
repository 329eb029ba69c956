"""Turn `field__relation__lookup=value` keywords and `Q` objects into expressions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Callable, Optional

from blaze.core.paths import RelationPath
from blaze.errors import QueryError, UnknownFieldError
from blaze.query.aliases import Alias
from blaze.query.q import Q
from blaze.sql.columns import Column
from blaze.sql.expressions import Expression, IsTrue, Label, Not, combine
from blaze.sql.selectable import Selectable
from blaze.utils.naming import suggest

if TYPE_CHECKING:
    from blaze.core.mapper import Mapper


def _is_null(left: Any, value: Any) -> Any:
    if not isinstance(value, bool):
        raise QueryError(f"isnull takes True or False, not a {type(value).__name__}")
    return left.is_(None) if value else left.is_not(None)


def _range(left: Any, value: Any) -> Any:
    try:
        low, high = value
    except (TypeError, ValueError):
        raise QueryError(f"range takes a pair (low, high), not a {type(value).__name__}") from None
    return left.between(low, high)


def _pattern(name: str) -> Callable[[Any, Any], Any]:
    return lambda left, value: getattr(left, name)(value)


LOOKUPS: dict[str, Callable[[Any, Any], Any]] = {
    "exact": lambda left, value: left == value,
    "ne": lambda left, value: left != value,
    "gt": lambda left, value: left > value,
    "gte": lambda left, value: left >= value,
    "lt": lambda left, value: left < value,
    "lte": lambda left, value: left <= value,
    "in": lambda left, value: left.in_(value),
    "range": _range,
    "isnull": _is_null,
    **{
        name: _pattern(name)
        for name in (
            "like", "ilike", "contains", "icontains", "startswith", "istartswith", "endswith", "iendswith",
            "iexact",
        )
    },
}  # fmt: skip
_PATH_LOOKUPS = ("exact", "ne", "in", "isnull")


class Names:
    """Where names begin: at a model or its alias, and at what a query has labelled."""

    __slots__ = ("entity", "labelled")

    def __init__(self, entity: Any, labelled: Optional[Callable[[str], Any]] = None) -> None:
        self.entity = entity
        self.labelled = labelled

    def first(self, name: str) -> Any:
        """Return what the first name of a chain means; raise `UnknownFieldError` with the nearest names."""
        entity = self.entity
        mapper = None
        if entity is not None:
            mapper = entity._mapper_ if isinstance(entity, Alias) else entity.__mapper__
            mapper.registry.configure(mapper)
            if name in mapper.attributes or name in mapper.relations:
                return getattr(entity, name)
        found = None if self.labelled is None else self.labelled(name)
        if found is None:
            raise UnknownFieldError(
                f"the query has no column {name!r}; use one of its columns as an expression, or label() it"
                if mapper is None
                else mapper.unknown(name)
            )
        return found

    def path(self, names: Iterable[str]) -> Any:
        """Return the column, label or relation path that a chain of names means."""
        return _walk(self.first, names)


def resolve_path(mapper: Mapper, names: Iterable[str]) -> Any:
    """Return the column expression or relation path that a chain of names means.

    Raises `UnknownFieldError` with the nearest names.
    """
    return _walk(Names(mapper.model).first, names)


def _walk(first: Callable[[str], Any], names: Iterable[str]) -> Any:
    found: Any = None
    for name in names:
        if found is None:
            found = first(name)
        elif isinstance(found, RelationPath):
            found = getattr(found, name)
        else:
            raise UnknownFieldError(f"{found.describe()} is a column and has nothing named {name!r}")
    return found


def lookup(start: Names, keyword: str, value: Any) -> Expression[bool]:
    """Return the condition of one keyword."""
    names = keyword.split("__")
    left: Any = None
    position = 0
    while position < len(names):
        name = names[position]
        if left is None:
            left = start.first(name)
            if isinstance(left, Label):
                left = left.expression
        elif isinstance(left, RelationPath):
            if name not in left._target_.attributes and name not in left._target_.relations:
                break
            left = getattr(left, name)
        else:
            break
        position += 1
    rest = names[position:]
    if len(rest) > 1 or (rest and rest[0] not in LOOKUPS):
        if isinstance(left, RelationPath):
            known = [*left._target_.attributes, *left._target_.relations, *_PATH_LOOKUPS]
            raise UnknownFieldError(f"{left!r} has no field or lookup {rest[0]!r}{suggest(rest[0], known)}")
        raise QueryError(f"{keyword!r}: there is no lookup {'__'.join(rest)!r}{suggest(rest[-1], LOOKUPS)}")
    operation = rest[0] if rest else "exact"
    if isinstance(left, RelationPath):
        return _path_lookup(left, operation, value)
    return LOOKUPS[operation](left, value)  # type: ignore[no-any-return]


def _path_lookup(path: RelationPath, operation: str, value: Any) -> Expression[bool]:
    if operation not in _PATH_LOOKUPS:
        raise QueryError(
            f"{path!r}: the lookup {operation!r} needs a field; a relation takes {_PATH_LOOKUPS}"
        )
    if operation == "in":
        if isinstance(value, Selectable):
            return path.in_(value)
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise QueryError(f"{path!r}: in takes a list or a query, not {value!r}")
        items = list(value)
        if any(item is not None and not isinstance(item, path._target_.model) for item in items):
            return key_column(path).in_(items)
        return path.in_(items)
    if operation == "isnull":
        return _is_null(path, value)  # type: ignore[no-any-return]
    if value is not None and not isinstance(value, path._target_.model):
        condition: Expression[bool] = key_column(path) == value
    else:
        condition = path.is_(value)
    return Not(condition) if operation == "ne" else condition


def key_column(path: RelationPath) -> Column[Any]:
    """Return the single key column of a path's target; raise `QueryError` for a composite key."""
    if len(path._target_.pk) != 1:
        raise QueryError(f"{path!r}: {path._target_.name} has a composite key; compare with an object")
    column: Column[Any] = getattr(path, path._target_.pk[0].name)
    return column


def negation(condition: Expression[Any]) -> Expression[bool]:
    """Return "not such": true for rows for which the condition is false, and for those where it is NULL."""
    return Not(IsTrue(condition))


def q_expression(start: Names, q: Q) -> Optional[Expression[bool]]:
    """Return the expression of a `Q`, None for one without a condition, which says nothing."""
    combined: Any = None
    part: Optional[Expression[bool]]
    waiting: list[Any] = [*reversed(q.children)]
    while waiting:  # a chain of a thousand | is a thousand levels deep
        child = waiting.pop()
        if not isinstance(child, Q):
            part = lookup(start, *child)
        elif not child.negated and child.connector == q.connector:
            waiting += reversed(child.children)
            continue
        else:
            part = q_expression(start, child)
        if part is not None:
            combined = part if combined is None else combine(q.connector, combined, part)
    return negation(combined) if q.negated and combined is not None else combined
