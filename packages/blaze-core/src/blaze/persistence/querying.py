"""Plans of queries: what each terminal method does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional

from blaze.errors import MultipleResultsError, NoResultError
from blaze.persistence import following
from blaze.persistence.loading import load_includes, load_parts
from blaze.plan import Execute, Plan
from blaze.query.build import assigned, delete_builder, reaches_elsewhere, update_builder
from blaze.query.paging import Page, Paging
from blaze.query.query import Query

if TYPE_CHECKING:
    from blaze.persistence.base import SessionBase

_ONE, _TWO = slice(1), slice(2)
# What an order by the key cannot follow, or makes needless.
_SETTLED = ("order_by", "distinct", "compound", "cut")


def fetch(session: SessionBase, query: Query[Any], variant: str = "rows", watched: bool = True) -> Plan[Any]:
    """Run a query in one of its variants; pending changes are flushed first.

    Look-ups that are `watched` are warned about when a loop repeats them.
    """
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
    compiled = session.compilation.query(query, variant)
    if compiled.compiled.dynamic:
        sql, params = compiled.render(query.binds)
    else:
        sql, params = compiled.sql, compiled.params(query.binds)
    before = session.known_before()
    load, identity = compiled.load, session.identity
    lazy = compiled.lazy
    command = Execute(sql, params, lambda rows: load(rows, identity, session, lazy), compiled.writes)
    result = yield from session.send(command)
    for statement in compiled.written:
        yield from following.after(session, statement)
    if watched and compiled.looked_up is not None:
        model, relation = compiled.looked_up
        session.tracker.lookup(sql, model, relation, params)
    if variant == "rows":
        if compiled.includes and result:
            yield from load_includes(session, result, compiled.includes, lazy, whole=compiled.whole)
        if compiled.portions and result:
            for kind, clause in query.clauses():
                if kind == "part":
                    yield from load_parts(session, result, clause, lazy)
        if before is not None:
            yield from session.loaded_since(before)
    return result


def all_(session: SessionBase, query: Query[Any]) -> Plan[list[Any]]:
    """All results."""
    return (yield from fetch(session, query))  # type: ignore[no-any-return]


def first(session: SessionBase, query: Query[Any]) -> Plan[Any]:
    """The first result or None."""
    root = query.root
    if root.mapper is not None and not any(kind in _SETTLED for kind, _ in query.clauses()):
        query = query.order_by(*root.key_columns)
    found = yield from fetch(session, query.sliced(_ONE))
    return found[0] if found else None


def one_or_none(session: SessionBase, query: Query[Any], watched: bool = True) -> Plan[Any]:
    """The only result or None."""
    found = yield from fetch(session, query.sliced(_TWO), "rows", watched)
    if len(found) > 1:
        raise MultipleResultsError(f"{query!r} has more than one result; narrow it, or use first()")
    return found[0] if found else None


def one(session: SessionBase, query: Query[Any]) -> Plan[Any]:
    """The only result."""
    found = yield from one_or_none(session, query)
    if found is None:
        raise NoResultError(f"{query!r} has no result; use one_or_none() or first() where that is expected")
    return found


def scalar(session: SessionBase, query: Query[Any]) -> Plan[Any]:
    """The first column of the first row, or None."""
    found = yield from fetch(session, query.sliced(_ONE))
    if not found:
        return None
    return found[0][0] if query.root.mapper is None else found[0]


def scalars(session: SessionBase, query: Query[Any]) -> Plan[list[Any]]:
    """The first column of every row."""
    found: list[Any] = yield from fetch(session, query)
    return [row[0] for row in found] if query.root.mapper is None else found


def count(session: SessionBase, query: Query[Any]) -> Plan[int]:
    """The number of rows."""
    found: int = yield from fetch(session, query, "count")
    return found


def exists(session: SessionBase, query: Query[Any]) -> Plan[bool]:
    """Whether there is a row."""
    if query.has("compound"):
        return bool((yield from fetch(session, query, "count")))
    found: bool = yield from fetch(session, query.sliced(_ONE), "exists")
    return found


def update(session: SessionBase, query: Query[Any], values: dict[str, Any]) -> Plan[int]:
    """Update the selected rows; loaded, unchanged objects show the new values."""
    mapper: Any = query.root.mapper
    builder = update_builder(query, values)
    changes = assigned(mapper, values)
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
    if reaches_elsewhere(mapper, changes):
        plan = following.update_joined(session, mapper, query, changes)
    else:
        plan = following.update(session, mapper, builder, changes, query)
    return (yield from session.transactions.guarded(plan))


def delete(session: SessionBase, query: Query[Any]) -> Plan[int]:
    """Delete the selected rows; loaded, unchanged objects of them are forgotten."""
    builder = delete_builder(query)
    if session.work.pending and session.autoflush:
        yield from session.flush_plan()
    plan = following.delete(session, query.root.mapper, builder)  # type: ignore[arg-type]
    return (yield from session.transactions.guarded(plan))


def paginate(session: SessionBase, query: Query[Any], size: int, after: Optional[str]) -> Plan[Page[Any]]:
    """One page of the results."""
    paging = Paging(query, size, session.dialect.features.row_values)
    wanted, backwards = paging.query(after)
    found = yield from fetch(session, wanted)
    return paging.page(found, after, backwards)


def explain(session: SessionBase, query: Query[Any]) -> Plan[str]:
    """The database's plan of the query as text."""
    sql, params = session.compilation.query(query).render(query.binds)
    rows = yield from session.send(Execute(session.dialect.explain(sql), params, list))
    return "\n".join(" ".join(str(part) for part in row) for row in rows)


MODES: dict[str, Callable[..., Any]] = {
    "all": all_,
    "first": first,
    "one": one,
    "one_or_none": one_or_none,
    "scalar": scalar,
    "scalars": scalars,
    "count": count,
    "exists": exists,
    "update": update,
    "delete": delete,
    "explain": explain,
    "paginate": paginate,
}
