"""A program that does anything at all with a session: memory agrees with the rows after each of its steps."""

from __future__ import annotations

import pickle
import random
from collections.abc import Container
from typing import Any, Optional

import pytest

from blaze import BlazeError, Engine, MemoryCache, Session, create_all
from blaze.errors import UniqueError
from tests.persistence.estate import (
    BASES,
    LISTS,
    MODELS,
    Boom,
    Cell,
    Folder,
    Mark,
    Node,
    Owner,
    Paper,
    Profile,
    Rows,
    Sheet,
    check,
    held,
    key_of,
    read_rows,
    values,
)
from tests.support.servers import mysql_database, postgres_database

pytestmark = pytest.mark.requirement("R26", "R29", "R30")


class Walk:
    """One session that takes random steps; every method without underscore is one."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.engine = engine
        self.seed = seed
        self.random = random.Random()
        self.cache = MemoryCache() if seed % 2 else None
        self.session = Session(engine, cache_backend=self.cache, performance_threshold=0)
        self.number = 0
        self.committed: Optional[Rows] = None
        self.log: list[str] = []

    # --- what the steps choose from

    def _name(self) -> str:
        self.number += 1
        return f"x{self.number}"

    def _pick(self, *models: type, saved: bool = False) -> Any:
        """Choose an object of the session that is not deleted, None where there is none."""
        gone = set(map(id, self.session.deleted))
        known = [o for _, _, o in held(self.session) if isinstance(o, models) and id(o) not in gone]
        if not saved:
            known += [o for o in self.session.new if isinstance(o, models)]
        return self.random.choice(known) if known else None

    def _pair(self, model: type) -> list[Any]:
        """Choose up to two objects."""
        found = {id(o): o for o in (self._pick(model), self._pick(model)) if o is not None}
        return list(found.values())

    def _make(self, kind: Any) -> Any:
        chance = self.random.random
        given: dict[str, Any] = {"name": self._name()}
        if issubclass(kind, Node):
            if chance() < 0.5:
                given["parent"] = self._pick(Node)
            if chance() < 0.5:
                given["owner"] = self._pick(Owner)
            if chance() < 0.4:
                given["marks"] = self._pair(Mark)
        elif kind is Sheet:
            given.update(owner=self._pick(Owner), number=self.number + 10)
        elif kind is Cell:
            given["sheet"] = self._pick(Sheet)
        elif kind is Profile:
            given["node"] = self._pick(Node)
        return None if kind is Sheet and given["owner"] is None else kind(**given)

    # --- objects

    def add(self) -> None:
        o = self._make(self.random.choice(MODELS))
        if o is not None and self.random.random() < 0.9:
            self.session.add(o)

    def set_column(self) -> None:
        o = self._pick(*MODELS)
        if isinstance(o, Folder) and self.random.random() < 0.5:
            o.size = self.random.randint(0, 99)
        elif isinstance(o, Paper) and self.random.random() < 0.5:
            o.text = self.random.choice([None, "a", "b"])
        elif o is not None:
            o.name = self._name()

    def change_document(self) -> None:
        o = self._pick(Node)
        if o is not None:
            o.data.setdefault(self.random.choice("ab"), []).append(self.random.randint(0, 9))

    def swap_names(self) -> None:
        first, second = self._pick(Owner), self._pick(Owner)
        if first is not None:
            first.name, second.name = second.name, first.name

    def change_key(self) -> None:
        o = self._pick(Sheet, Owner, Cell)
        if isinstance(o, Sheet):
            o.number = self.random.randint(1, 9)
        elif o is not None:
            self.number += 1
            o.id = self.number + 1000

    def delete(self) -> None:
        o = self._pick(*MODELS)
        if o is not None:
            self.session.delete(o)

    def delete_and_insert(self) -> None:
        o = self._pick(Cell, Profile, saved=True)
        if o is not None:
            self.session.delete(o)
            node = o.node if isinstance(o, Profile) and self.random.random() < 0.5 else None
            if node in self.session.deleted:
                node = None
            if isinstance(o, Cell):
                self.session.add(Cell(id=o.id, name="again"))
            else:
                self.session.add(Profile(id=o.id, name="again", node=node))

    # --- relations

    def set_relation(self) -> None:
        model, name, target = self.random.choice(
            [(Node, "parent", Node), (Node, "owner", Owner), (Profile, "node", Node), (Cell, "sheet", Sheet),
             (Node, "profile", Profile), (Node, "parent_id", Node), (Node, "owner_id", Owner)]
        )  # fmt: skip
        o = self._pick(model)
        other = self._pick(target) if self.random.random() < 0.8 else None
        if o is not None:
            setattr(o, name, other.id if name.endswith("_id") and other is not None else other)

    def set_composite_key(self) -> None:
        o, sheet = self._pick(Cell), self._pick(Sheet)
        if o is not None and sheet is not None and sheet.owner_id is not None:
            o.sheet_owner_id, o.sheet_number = sheet.owner_id, sheet.number

    def change_list(self) -> None:
        model, name, target = self.random.choice(LISTS)
        o, other = self._pick(model), self._pick(target)
        if o is None:
            return
        related = getattr(o, name)
        how = self.random.choice(["add", "remove", "read", "new", "count", "clear", "assign"])
        if how == "add" and other is not None:
            related.add(other)
        elif how == "remove" and len(related):
            related.remove(self.random.choice(list(related)))
        elif how == "read":
            list(related)
        elif how == "new":
            related.add((Paper if target is Node else target)(name=self._name()))
        elif how == "count":
            count = related.count()
            assert self.session.new or self.session.dirty or count == len(related)
        elif how == "clear":
            related.clear()
        elif how == "assign":
            setattr(o, name, self._pair(target))

    def link(self) -> None:
        node, mark = self._pick(Node), self._pick(Mark)
        if node is None or mark is None:
            return
        how = self.random.choice(["add", "remove", "m2m_add", "m2m_remove"])
        if how == "add":
            self.session.add_m2m(node, Node.marks, mark)
        elif how == "m2m_add":
            node.m2m_add("marks", mark)
        elif mark in node.marks and how == "remove":
            self.session.remove_m2m(node, "marks", mark)
        elif mark in node.marks:
            node.m2m_remove("marks", mark)

    # --- the session

    def flush(self) -> None:
        self.session.flush()
        check(self.session)

    def commit(self) -> None:
        self.session.commit()
        self.committed = check(self.session)
        if self.cache is None:
            return
        self.session.rollback()
        with Session(self.engine, cache_backend=self.cache, performance_threshold=0) as reader:
            for model, rows in self.committed.items():
                for key, row in rows.items() if model is not None else ():
                    o = reader.get(model, key)
                    assert o is not None, f"the cache has no {model.__name__} {key}"
                    shown = values(o)
                    assert shown == {name: row[name] for name in shown}, f"the cache has an old {o!r}"

    def rollback(self) -> None:
        self.session.rollback()
        rows = check(self.session)
        assert self.committed is None or rows == self.committed

    def refresh(self) -> None:
        o = self._pick(*MODELS, saved=True)
        if o is not None:
            names = ["name", "parent", "marks", "kids", "profile", "owner_id"] if isinstance(o, Node) else []
            self.session.refresh(o, *self.random.sample(names, self.random.randint(0, len(names) // 2)))

    def merge(self) -> None:
        o = self._pick(*MODELS, saved=True)
        self.session.flush()
        if o is not None and any(o is known for _, _, known in held(self.session)):
            given = pickle.loads(pickle.dumps(o))
            if self.random.random() < 0.6:
                given.name = self._name()
            assert self.session.merge(given) is o

    def merge_graph(self) -> None:
        self.session.flush()
        mark, owner = self._pick(Mark), self._pick(Owner)
        if mark is None or owner is None:
            return
        given = Folder(
            name=self._name(),
            owner=Owner(id=owner.id, name=owner.name),
            marks=[Mark(id=mark.id, name=mark.name), Mark(name=self._name())],
            kids=[Paper(name=self._name())],
            profile=Profile(name="merged"),
        )
        merged = self.session.merge(given)
        assert (merged.owner is owner, mark in merged.marks, len(merged.kids)) == (True, True, 1)

    def get_or_create(self) -> None:
        name = f"x{self.random.randint(1, self.number + 3)}"
        self.session.get_or_create(self.random.choice([Mark, Owner]), name=name)
        self.number += 3

    def without_autoflush(self) -> None:
        with self.session.no_autoflush():
            for _ in range(3):
                self._take([Walk.change_list, Walk.set_column, Walk.set_relation, Walk.add, Walk.query])

    def reopen(self) -> None:
        self.session.close()
        self.session = Session(self.engine, cache_backend=self.cache, performance_threshold=0)

    def write_past_the_session(self) -> None:
        self.session.flush()
        self.session.execute("UPDATE node SET slug = 'raw'")
        self.session.query(Node).all()
        self.session.query(Owner).include(Owner.nodes).all()
        self.rollback()

    def fail_to_flush(self) -> None:
        o = self._pick(Owner, Mark)
        if o is None:
            return
        self.session.flush()
        twin = type(o)(name=o.name)
        self.session.add(twin)
        self._take([Walk.set_column])
        before = [(known, values(known)) for _, _, known in held(self.session)]
        try:
            self.session.flush()
        except UniqueError:
            for known, shown in before:
                now = values(known)
                assert {**now, "slug": ""} == {**shown, "slug": ""}
            assert twin in self.session.new
            twin.name = self._name()

    def block(self) -> None:
        self.session.commit()
        self.committed = read_rows(self.session)
        self._enter(self.random.randint(1, 3))

    def _enter(self, depth: int, inner: bool = False) -> None:
        before = None
        if inner:
            self.session.flush()
            before = read_rows(self.session)
        fails = self.random.random() < 0.5
        try:
            with self.session.transaction():
                for _ in range(self.random.randint(1, 4)):
                    self._take(INSIDE)
                if depth > 1:
                    self._enter(depth - 1, inner=True)
                if fails:
                    raise Boom
        except Boom:
            rows = check(self.session)
            assert before is None or rows == before
        else:
            if not inner:
                self.committed = check(self.session)

    # --- queries and bulk operations

    def query(self) -> None:
        s, kind = self.session, self.random.randrange(7)
        if kind == 0:
            s.query(Node).include(Node.parent, Node.marks, Node.kids).all()
        elif kind == 1:
            s.query(Owner).include(Owner.nodes, Owner.sheets).all()
        elif kind == 2:
            s.query(Node).prefetch_related("profile", "parent__parent__marks").all()
        elif kind == 3:
            for place, _ in enumerate(s.query(Node).order_by(Node.id).stream(size=2)):
                if place == 3:
                    break
        elif kind == 4:
            keys, cursor = [], None
            ordered = s.query(Node).order_by(Node.name.desc())
            while True:
                page = ordered.paginate(2, after=cursor)
                keys += [o.id for o in page.items]
                cursor = page.next
                if cursor is None:
                    break
            assert sorted(keys) == sorted(s.query(Node.id).scalars())
        elif kind == 5:
            s.query(Folder).where(Folder.parent.owner.name.startswith("x")).all()
            s.query(Profile).select_related("node__parent").all()
        else:
            for cell in s.query(Cell).include(Cell.sheet):
                assert cell.sheet is None or cell.sheet.owner is not None

    def insert_in_bulk(self) -> None:
        made = [Folder(name=self._name()), Paper(name=self._name()), Mark(name=self._name())]
        self.session.bulk_insert(made, return_keys=self.random.random() < 0.5)

    def update_in_bulk(self) -> None:
        self.session.flush()
        chosen = [o for o in self._pair(Node) if not isinstance(o, Folder)]
        for o in chosen:
            o.name = self._name()
        self.session.bulk_update(chosen, [Node.name] if self.random.random() < 0.5 else None)

    def delete_in_bulk(self) -> None:
        self.session.flush()
        o = self._pick(Owner, Mark, Folder, Sheet, Cell)
        if o is not None:
            self.session.bulk_delete(type(o), [key_of(o)])

    def upsert(self) -> None:
        self.session.flush()
        mark = self._pick(Mark)
        rows = [Mark(name=self._name())]
        if self.random.random() < 0.5:
            rows += [] if mark is None else [Mark(id=mark.id, name=self._name())]
            self.session.upsert(rows, conflict=[Mark.id])
        else:
            rows += [] if mark is None else [Mark(name=mark.name)]
            self.session.upsert(rows, conflict=[Mark.name])

    def update_by_query(self) -> None:
        if self.random.random() < 0.5:
            self.session.query(Folder).where(Folder.size < 50).update(size=Folder.size + 1)
        else:
            self.session.query(Node).where(Node.parent.name.startswith("x1")).update(name=Node.name + "q")

    def delete_by_query(self) -> None:
        model, column = self.random.choice(
            [
                (Node, Node.id),
                (Mark, Mark.id),
                (Cell, Cell.id),
                (Owner, Owner.id),
                (Sheet, Sheet.number),
                (Profile, Profile.id),
            ]
        )
        self.session.query(model).where(column % 5 == self.random.randint(0, 4)).delete()

    # --- running

    def _take(self, steps: Any) -> None:
        step = self.random.choice(steps)
        self.log.append(step.__name__)
        step(self)

    def run(self, steps: int, without: Container[int] = ()) -> None:
        """Fill the database, and walk; steps `without` which an error comes as well tell nothing about it."""
        for number in range(-25, 0):
            self.random.seed(f"{self.seed} {number}")
            if number not in without:
                self.add()
        try:
            self.session.commit()
        except BlazeError:  # two profiles of one node: the walk begins with nothing
            self.session.rollback()
        self.committed = read_rows(self.session)
        self.session.rollback()
        for number in range(steps):
            self.random.seed(f"{self.seed} {number}")
            if number in without:
                continue
            try:
                self._take(STEPS)
            except BlazeError:  # what cannot be is refused, and a rollback makes good whatever came before
                self.rollback()


FREQUENT = [Walk.add, Walk.set_column, Walk.set_relation, Walk.change_list, Walk.flush]
USUAL = [
    Walk.change_document, Walk.swap_names, Walk.delete, Walk.delete_and_insert, Walk.commit, Walk.rollback,
    Walk.refresh, Walk.merge, Walk.merge_graph, Walk.link, Walk.query, Walk.without_autoflush,
    Walk.insert_in_bulk, Walk.update_in_bulk, Walk.block,
]  # fmt: skip
RARE = [
    Walk.change_key, Walk.set_composite_key, Walk.get_or_create, Walk.fail_to_flush, Walk.delete_in_bulk,
    Walk.write_past_the_session, Walk.reopen, Walk.upsert, Walk.update_by_query, Walk.delete_by_query,
]  # fmt: skip
STEPS = [*FREQUENT * 4, *USUAL * 2, *RARE]
ENDS = {Walk.commit, Walk.rollback, Walk.block, Walk.fail_to_flush, Walk.reopen, Walk.write_past_the_session}
INSIDE = [step for step in STEPS if step not in ENDS]


def walk(engine: Engine, seed: int) -> None:
    """Take one walk through an empty database; an error names the seed and the last steps."""
    walker = Walk(engine, seed)
    try:
        walker.run(40)
    except AssertionError as error:
        raise AssertionError(f"walk {seed}, after {', '.join(walker.log[-15:])}: {error}") from error
    finally:
        walker.session.close()


def walk_in_memory(seed: int) -> None:
    with Engine("sqlite://") as engine:
        create_all(engine, MODELS)
        walk(engine, seed)


@pytest.mark.parametrize("seed", range(30))
def test_memory_agrees_with_the_rows(seed: int) -> None:
    walk_in_memory(seed)


@pytest.mark.long
@pytest.mark.parametrize("part", range(10))
def test_memory_agrees_with_the_rows_for_long(part: int) -> None:
    for seed in range(1000 + part * 200, 1200 + part * 200):
        walk_in_memory(seed)


@pytest.mark.long
@pytest.mark.parametrize("database", [postgres_database, mysql_database])
def test_memory_agrees_with_the_rows_on_servers(database: Any) -> None:
    with database() as dsn, Engine(dsn) as engine:
        create_all(engine, MODELS)
        for seed in range(300):
            walk(engine, seed)
            with Session(engine) as session:
                session.query(Node).all_rows().update(parent=None)
                for model in reversed(BASES):
                    session.query(model).all_rows().delete()
                session.commit()
