"""Statements on the rows of join tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from blaze.sql.keyed import Keyed, delete_by_key, insert_ignoring

if TYPE_CHECKING:
    from blaze.core.relations import Link
    from blaze.dialects.dialect import Dialect


def link_sql(dialect: Dialect, link: Link, what: str) -> Keyed:
    """Return the statement that adds a pair (twice is no error), removes a pair, or clears one side."""
    key = ("link", link, what)
    found: Optional[Keyed] = dialect.memory.get(key)
    if found is None:
        if what == "add":
            found = insert_ignoring(dialect, link.table, (*link.own, *link.target))
        elif what == "remove":
            found = delete_by_key(dialect, link.table, (*link.own, *link.target))
        else:
            found = delete_by_key(dialect, link.table, link.own)
        dialect.memory[key] = found
    return found
