"""What bulk operations do with objects that are pending in the session, or given twice."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

from blaze.errors import SessionError
from blaze.plan import Plan

if TYPE_CHECKING:
    from blaze.persistence.base import SessionBase


def insert_pending(session: SessionBase, batch: Sequence[Any], flush: bool) -> Plan[set[int]]:
    """Flush if some of the objects are pending in the session; return the identities of those it inserted."""
    if not session.work.pending:
        return set()
    new = [o for o in batch if hasattr(type(o), "__mapper__") and type(o).__mapper__.is_new(o)]
    if not flush and not any(o in session for o in new):
        return set()
    yield from session.flush_plan(False)
    return {id(o) for o in new if o in session}


def left_to_insert(
    session: SessionBase, batch: list[Any], flush: bool, keyed: bool
) -> Plan[tuple[list[Any], list[Any]]]:
    """Flush what is pending of a batch; return an object for each of its rows, and those left to insert.

    What was pending has one row, any other object one for each time that it was given; with `keyed` each of
    these has an object of its own. Raises `SessionError` for an object of the session that is saved already.
    """
    for instance in batch:
        if getattr(instance, "_ctx_", None) is not None and instance in session:
            mapper = type(instance).__mapper__
            if not mapper.is_new(instance):
                raise SessionError(
                    f"bulk_insert() was given a {mapper.name} (key {mapper.shown_key(mapper.key(instance))}) "
                    "that the session has saved or loaded already: leave it out, or bulk_update() it. "
                    "Queries flush what was added and what refers to objects of the session"
                )
    written = yield from insert_pending(session, batch, flush)
    rows = batch
    if written:
        first = {id(o): index for index, o in reversed(list(enumerate(batch)))}
        rows = [o for index, o in enumerate(batch) if id(o) not in written or first[id(o)] == index]
    if keyed:
        rows = apart(rows)
    return rows, [o for o in rows if id(o) not in written] if written else rows


def apart(instances: list[Any]) -> list[Any]:
    """Return objects with a copy for every repetition, so that each row has an object for its key."""
    if len(set(map(id, instances))) == len(instances):
        return instances
    seen: set[int] = set()
    found = []
    for instance in instances:
        found.append(copy(instance) if id(instance) in seen else instance)
        seen.add(id(instance))
    return found
