"""Models with everything at once, and what must hold of a session after each flush.

Hierarchies of both kinds, composite keys, links, a one-to-one, a version, documents, generated columns, a
hook and rules on delete. The invariant is asked of the rows: each object shows its row, and each loaded
relation the rows that refer to it.
"""

from __future__ import annotations

import copy
import json
from typing import Any, Optional

from blaze import (
    Field,
    ForeignKey,
    ManyToMany,
    Model,
    NotLoadedError,
    OneToMany,
    OneToOne,
    Session,
    field,
    foreign_key,
    many_to_many,
    one_to_many,
    one_to_one,
)


class Owner(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(unique=True, max_length=50)
    nodes: OneToMany[Node] = one_to_many()
    sheets: OneToMany[Sheet] = one_to_many()


class Mark(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(unique=True, max_length=50)


class Node(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]
    slug: Field[str] = field(default="")
    version: Field[int] = field(version=True)
    data: Field[dict[str, Any]] = field(default_factory=dict)
    parent: ForeignKey[Optional[Node]] = foreign_key(related_name="kids", on_delete="SET NULL")
    kids: OneToMany[Node] = one_to_many()
    owner: ForeignKey[Optional[Owner]] = foreign_key(related_name="nodes", on_delete="CASCADE")
    marks: ManyToMany[Mark] = many_to_many(related_name="nodes")
    profile: OneToOne[Optional[Profile]] = one_to_one(reverse=True)

    class Meta:
        discriminator = "kind"

    def before_save(self) -> None:
        self.slug = f"s-{self.name}"


class Folder(Node):
    size: Field[int] = field(default=0)
    twice: Field[int] = field(generated="size * 2")

    class Meta:
        joined = True


class Paper(Node):
    text: Field[Optional[str]] = field(default=None)


class Sheet(Model):
    owner: ForeignKey[Owner] = foreign_key(primary_key=True, on_delete="CASCADE", related_name="sheets")
    number: Field[int] = field(primary_key=True, init=True)
    name: Field[str]
    cells: OneToMany[Cell] = one_to_many()


class Cell(Model):
    id: Field[int] = field(primary_key=True)
    sheet: ForeignKey[Optional[Sheet]] = foreign_key(related_name="cells", on_delete="SET NULL")
    name: Field[str]


class Profile(Model):
    id: Field[int] = field(primary_key=True)
    node: OneToOne[Optional[Node]] = one_to_one(related_name="profile", on_delete="SET NULL")
    name: Field[str]


MODELS = [Owner, Mark, Node, Folder, Paper, Sheet, Cell, Profile]
BASES = [Owner, Mark, Node, Sheet, Cell, Profile]
COLUMNS = {
    Owner: ("id", "name"),
    Mark: ("id", "name"),
    Node: ("id", "name", "slug", "version", "data", "parent_id", "owner_id", "kind"),
    Folder: ("size", "twice"),
    Paper: ("text",),
    Sheet: ("owner_id", "number", "name"),
    Cell: ("id", "sheet_owner_id", "sheet_number", "name"),
    Profile: ("id", "node_id", "name"),
}
QUERIES = {
    Owner: "SELECT id, name FROM owner",
    Mark: "SELECT id, name FROM mark",
    Node: "SELECT n.id, name, slug, version, data, parent_id, owner_id, kind, text, size, twice "
    "FROM node AS n LEFT JOIN folder AS f ON f.id = n.id",
    Sheet: "SELECT owner_id, number, name FROM sheet",
    Cell: "SELECT id, sheet_owner_id, sheet_number, name FROM cell",
    Profile: "SELECT id, node_id, name FROM profile",
}
LISTS = [
    (Owner, "nodes", Node),
    (Mark, "nodes", Node),
    (Node, "marks", Mark),
    (Node, "kids", Node),
    (Sheet, "cells", Cell),
]
# What a to-one relation shows, by the columns of its key; and what a list, by those of the other rows.
TO_ONE = {
    (Node, "parent"): ("parent_id",),
    (Node, "owner"): ("owner_id",),
    (Sheet, "owner"): ("owner_id",),
    (Cell, "sheet"): ("sheet_owner_id", "sheet_number"),
    (Profile, "node"): ("node_id",),
}
TO_MANY = {
    (Owner, "nodes"): (Node, ("owner_id",)),
    (Owner, "sheets"): (Sheet, ("owner_id",)),
    (Node, "kids"): (Node, ("parent_id",)),
    (Node, "profile"): (Profile, ("node_id",)),
    (Sheet, "cells"): (Cell, ("sheet_owner_id", "sheet_number")),
}

Rows = dict[Any, dict[Any, dict[str, Any]]]


class Boom(Exception):
    """Ends a transaction block."""


def key_of(o: Any) -> Any:
    """Return the primary key of an object."""
    return (o.owner_id, o.number) if isinstance(o, Sheet) else o.id


def key_in(row: dict[str, Any], columns: tuple[str, ...]) -> Any:
    """Return the key that a row refers to, None where it refers to nothing."""
    parts = tuple([row[column] for column in columns])
    return None if None in parts else parts if len(parts) > 1 else parts[0]


def read_rows(session: Session) -> Rows:
    """Return all rows as the session's transaction sees them, by model and key; links stand under None."""
    found: Rows = {}
    for model, query in QUERIES.items():
        names = [name.split(".")[-1].strip() for name in query[7 : query.index(" FROM")].split(",")]
        rows = [dict(zip(names, row)) for row in session.execute(query)]
        for row in rows:
            if model is Node:
                row["data"] = json.loads(row["data"]) if isinstance(row["data"], str) else row["data"]
        found[model] = {(r["owner_id"], r["number"]) if model is Sheet else r["id"]: r for r in rows}
    links = session.execute("SELECT node_id, mark_id FROM node_marks")
    found[None] = {tuple(link): {} for link in links}
    return found


def held(session: Session) -> list[tuple[Any, Any, Any]]:
    """Return the model, the key and the object of each row that the session holds."""
    return [(model, key, o) for model, objects in session.identity.items() for key, o in objects.items()]


def loaded(o: Any, name: str) -> Any:
    """Return a relation, a list of objects, or None where it is not loaded."""
    try:
        related = getattr(o, name)
        return [] if related is None else [related] if isinstance(related, Model) else list(related)
    except NotLoadedError:
        return None


def values(o: Any) -> dict[str, Any]:
    """Return the columns of an object."""
    kinds = [model for model in COLUMNS if isinstance(o, model)]
    return {name: copy.deepcopy(getattr(o, name)) for kind in kinds for name in COLUMNS[kind]}


def check(session: Session) -> Rows:
    """Compare every object of the session with its row, and every loaded relation; return the rows."""
    rows = read_rows(session)
    lazy, session.lazy = session.lazy, "raise"
    try:
        for model, key, o in held(session):
            assert key in rows[model], f"{o!r} has no row"
            row = rows[model][key]
            shown = values(o)
            assert shown == {name: row[name] for name in shown}, f"{o!r} is not its row"
            for (owner, name), columns in TO_ONE.items():
                if isinstance(o, owner):
                    wanted = [row[column] for column in columns]
                    compare(
                        session,
                        o,
                        name,
                        [] if None in wanted else [tuple(wanted) if len(wanted) > 1 else wanted[0]],
                    )
            for (owner, name), (other, columns) in TO_MANY.items():
                if isinstance(o, owner):
                    key_parts = list(key) if isinstance(key, tuple) else [key]
                    compare(
                        session,
                        o,
                        name,
                        [k for k, r in rows[other].items() if [r[c] for c in columns] == key_parts],
                    )
            if isinstance(o, Node):
                compare(session, o, "marks", [mark for node, mark in rows[None] if node == key])
            if isinstance(o, Mark):
                compare(session, o, "nodes", [node for node, mark in rows[None] if mark == key])
    finally:
        session.lazy = lazy
    return rows


def compare(session: Session, o: Any, name: str, wanted: list[Any]) -> None:
    """Compare a relation, where it is loaded, with the keys of the rows that it must show."""
    related = loaded(o, name)
    if related is None:
        return
    assert sorted(map(key_of, related)) == sorted(wanted), f"{o!r}.{name} shows {related!r}, not {wanted}"
    for each in related:
        base = next(model for model in BASES if isinstance(each, model))
        assert session.identity[base].get(key_of(each)) is each, f"{o!r}.{name} shows a second {each!r}"
