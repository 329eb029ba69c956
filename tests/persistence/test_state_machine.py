"""A session against a plain-Python model of the same world, driven by Hypothesis, sync and async."""

from __future__ import annotations

import asyncio
import inspect
import shutil
import tempfile
from copy import copy
from pathlib import Path
from typing import Any, Optional

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from blaze import AsyncSession, Engine, Field, Model, Session, create_all, field
from blaze.errors import NotNullError, UniqueError, ValidationError
from tests.persistence.models import MODELS, Author, Book, Chapter, Node, Profile, Setting, Tag
from tests.persistence.world import World


class Asset(Model):
    """The base of a hierarchy: a class of its table, and one with a table of its own."""

    id: Field[int] = field(primary_key=True)
    code: Field[str] = field(unique=True)
    note: Field[str] = field(default="")

    class Meta:
        discriminator = "sort"


class Tool(Asset):
    size: Field[int] = field(default=1)


class Van(Asset):
    plate: Field[Optional[str]] = field(unique=True, default=None)

    class Meta:
        joined = True


SORTS: list[Any] = [Asset, Tool, Van]
KINDS: dict[str, Any] = {
    "author": Author,
    "book": Book,
    "chapter": Chapter,
    "profile": Profile,
    "tag": Tag,
    "node": Node,
    "setting": Setting,
    "asset": Asset,
}
LABEL = {
    "author": "name",
    "book": "title",
    "chapter": "heading",
    "profile": "text",
    "tag": "name",
    "node": "name",
    "setting": "value",
    "asset": "note",
}
TO_ONE = {
    "author": {},
    "book": {"author": "author", "editor": "author"},
    "chapter": {"book": "book"},
    "profile": {"author": "author"},
    "tag": {},
    "node": {"parent": "node"},
    "setting": {},
    "asset": {},
}
# The reverse side of each to-one relation, and whether it is a list.
REVERSE = {
    ("book", "author"): "books",
    ("book", "editor"): "edited",
    ("chapter", "book"): "chapters",
    ("profile", "author"): "profile",
    ("node", "parent"): "children",
}
words = st.text("abcé '\"%", min_size=1, max_size=6)
picks = st.integers(0, 10_000)


def key_of(instance: Any) -> Any:
    return type(instance).__mapper__.key(instance)


class Machine(RuleBasedStateMachine):
    """Rules change the session and the model alike; `check` compares memory, database and model."""

    asynchronous = False

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.mkdtemp(prefix="blaze-machine-")
        self.engine = Engine(f"sqlite:///{Path(self.folder) / 'test.db'}?statement_timeout=20")
        create_all(self.engine, [*MODELS, *SORTS])
        self.world = World()
        self.objects: dict[str, Any] = {}
        self.retired: dict[str, Any] = {}
        self.blocks: list[Any] = []
        self.counter = 0
        self.open()

    # --- driving

    def wait(self, value: Any) -> Any:
        """Return a value, awaited where it must be."""
        if not inspect.isawaitable(value):
            return value

        async def settle() -> Any:
            return await value

        return self.loop.run_until_complete(settle())

    def open(self) -> None:
        self.session: Any = (
            AsyncSession(self.engine, performance_threshold=0)
            if self.asynchronous
            else Session(self.engine, performance_threshold=0)
        )

    def teardown(self) -> None:
        self.wait(self.session.close())
        stats = self.engine.pool_stats()
        self.wait(self.engine.adispose())
        self.loop.close()
        shutil.rmtree(self.folder)
        assert stats.in_use == 0, stats

    def pick(self, kind: str, number: int) -> Optional[str]:
        found = self.world.of(kind)
        return found[number % len(found)] if found else None

    def unique(self, text: str) -> str:
        self.counter += 1
        return f"{text}{self.counter}"

    def store(self, kind: str, instance: Any, record: dict[str, Any]) -> str:
        self.counter += 1
        name = f"{kind}{self.counter}"
        self.objects[name] = instance
        self.world.add(name, {"kind": kind, **record})
        return name

    def put(self, instance: Any) -> None:
        self.wait(self.session.add(instance))

    def load(self, instance: Any, relation: str) -> None:
        if self.asynchronous:
            self.wait(self.session.load(instance, relation))

    # --- adding

    @rule(name=words)
    def add_author(self, name: str) -> None:
        name = self.unique(name)
        instance = Author(name=name, email=name)
        self.put(instance)
        self.store("author", instance, {"name": name, "email": name})

    @rule(name=words)
    def add_tag(self, name: str) -> None:
        instance = Tag(name=name)
        self.put(instance)
        self.store("tag", instance, {"name": name})

    @rule(title=words, number=picks, how=st.sampled_from(["none", "object", "list"]), tagged=st.booleans())
    def add_book(self, title: str, number: int, how: str, tagged: bool) -> None:
        title = self.unique(title)
        author = self.pick("author", number) if how != "none" else None
        tag = self.pick("tag", number) if tagged else None
        meta = {"n": [number]}
        instance = Book(title=title, meta=meta, labels=[title])
        if tag is not None:
            instance.tags.add(self.objects[tag])
        if how == "object" and author is not None:
            instance.author = self.objects[author]
        if how == "list" and author is not None:
            self.objects[author].books.add(instance)
        else:
            self.put(instance)
        record = {"title": title, "rating": 0, "meta": {"n": [number]}, "labels": [title], "author": author}
        self.store("book", instance, {**record, "editor": None, "tags": {tag} if tag else set()})

    @rule(heading=words, number=picks)
    def add_chapter(self, heading: str, number: int) -> None:
        book = self.pick("book", number)
        if book is None:
            return
        instance = Chapter(heading=heading, book=self.objects[book])
        self.put(instance)
        self.store("chapter", instance, {"heading": heading, "book": book})

    @rule(text=words, number=picks)
    def add_profile(self, text: str, number: int) -> None:
        author = self.pick("author", number)
        if author is not None and self.world.linked("profile", "author", author):
            author = None
        instance = Profile(text=text, author=None if author is None else self.objects[author])
        self.put(instance)
        self.store("profile", instance, {"text": text, "author": author})

    @rule(name=words, number=picks, below=st.booleans())
    def add_node(self, name: str, number: int, below: bool) -> None:
        parent = self.pick("node", number) if below else None
        instance = Node(name=name, parent=None if parent is None else self.objects[parent])
        self.put(instance)
        self.store("node", instance, {"name": name, "parent": parent})

    @rule(value=words)
    def add_setting(self, value: str) -> None:
        instance = Setting(name=self.unique("key"), value=value)
        self.put(instance)
        self.store("setting", instance, {"name": instance.name, "value": value})

    @rule(note=words, sort=st.integers(0, 2))
    def add_asset(self, note: str, sort: int) -> None:
        instance = SORTS[sort](code=self.unique("code"), note=note)
        self.put(instance)
        self.store("asset", instance, {"code": instance.code, "note": note})

    @rule(number=picks)
    def add_again(self, number: int) -> None:
        """Add an object whose insert was rolled back, without its former links."""
        if not self.retired:
            return
        name = list(self.retired)[number % len(self.retired)]
        instance = self.retired.pop(name)
        mapper = type(instance).__mapper__
        kind = mapper.base.name.lower()
        assert mapper.identity is None or instance.id is None
        if kind == "chapter":
            book = self.pick("book", number)
            if book is None:
                return
            instance.book = self.objects[book]
        for relation in TO_ONE[kind]:
            if kind != "chapter":
                setattr(instance, relation, None)
        for relation in mapper.relations.values():
            if relation.many:
                relation.collection(instance).clear()
            elif not relation.owns_key:
                setattr(instance, relation.name, None)
        record: dict[str, Any] = {LABEL[kind]: getattr(instance, LABEL[kind])}
        if kind == "author":
            record["name"] = record["email"] = instance.email = instance.name = self.unique("again")
        elif kind == "book":
            labels = None if instance.labels is None else list(instance.labels)
            record.update(rating=instance.rating, meta=dict(instance.meta), labels=labels)
            record.update(author=None, editor=None, tags=set())
        elif kind == "chapter":
            record["book"] = book
        elif kind == "profile":
            record["author"] = None
        elif kind == "node":
            record["parent"] = None
        elif kind == "setting":
            record["name"] = instance.name = self.unique("again")
        elif kind == "asset":
            record["code"] = instance.code = self.unique("again")
        self.put(instance)
        self.store(kind, instance, record)

    # --- changing

    @rule(kind=st.sampled_from(sorted(KINDS)), text=words, number=picks)
    def rename(self, kind: str, text: str, number: int) -> None:
        name = self.pick(kind, number)
        if name is None:
            return
        text = self.unique(text)
        setattr(self.objects[name], LABEL[kind], text)
        self.world.now[name][LABEL[kind]] = text

    @rule(
        what=st.sampled_from([("author", "email"), ("setting", "name"), ("asset", "code")]),
        number=picks,
        size=st.integers(2, 5),
        how=st.sampled_from(["rotate", "replace", "inherit"]),
    )
    def hand_over(self, what: tuple[str, str], number: int, size: int, how: str) -> None:
        """Let unique values, or keys, change hands: around a circle, to a new object, from a deleted one."""
        kind, attribute = what
        found = self.world.of(kind)
        if len(found) < size:
            return
        start = number % len(found)
        names = (found[start:] + found[:start])[:size]
        values = [self.world.now[name][attribute] for name in names]
        if how == "rotate":
            coming = values[1:] + values[:1]
        else:
            coming = [*values[1:], self.unique("free")]
        if how == "inherit":  # the last one is deleted, each other takes the value of the next
            self.wait(self.session.flush())
            self.wait(self.session.delete(self.objects[names[-1]]))
            self.world.delete(names.pop())
        for name, value in zip(names, coming):
            setattr(self.objects[name], attribute, value)
            self.world.now[name][attribute] = value
        if how == "replace":
            value = values[0]
            instance: Any
            if kind == "author":
                instance, record = Author(name="r", email=value), {"name": "r", "email": value}
            elif kind == "asset":
                instance, record = SORTS[number % 3](code=value), {"code": value, "note": ""}
            else:
                instance, record = Setting(name=value, value="r"), {"name": value, "value": "r"}
            self.put(instance)
            self.store(kind, instance, record)

    @rule(kind=st.sampled_from(sorted(KINDS)), text=words, number=picks)
    def merge(self, kind: str, text: str, number: int) -> None:
        """Merge a changed copy into the object of the session."""
        name = self.pick(kind, number)
        if name is None:
            return
        self.wait(self.session.flush())
        outside = copy(self.objects[name])
        text = self.unique(text)
        setattr(outside, LABEL[kind], text)
        assert self.wait(self.session.merge(outside)) is self.objects[name]
        assert outside not in self.session
        self.world.now[name][LABEL[kind]] = text

    @rule(
        kind=st.sampled_from(["setting", "asset"]),
        number=picks,
        text=words,
        how=st.sampled_from(["forget", "merge", "add"]),
        raw=st.sampled_from(["", "before", "between", "after"]),
    )
    def expunge(self, kind: str, number: int, text: str, how: str, raw: str) -> None:
        """Take an object out and change it; it comes back changed, or another one stands for its row. A
        write past the session makes it forget, at a rollback, what it has loaded since.
        """
        name = self.pick(kind, number)
        if name is None:
            return
        self.wait(self.session.flush())
        instance, label = self.objects[name], LABEL[kind]
        key, model = key_of(instance), type(instance).__mapper__.model
        # What is loaded for the first time after such a write is forgotten at a rollback: one goes before.
        self.write_past(raw in ("before", "between"))
        self.session.expunge(instance)
        setattr(instance, label, text)
        self.write_past(raw == "between")
        if how == "add":
            self.put(instance)
        else:
            found = self.wait(self.session.get_one(model, key))
            assert found is not instance
            assert getattr(found, label) == self.world.now[name][label]
            self.objects[name] = found
            if how == "merge":
                assert self.wait(self.session.merge(instance)) is found
        self.write_past(raw == "after")
        if how != "forget":
            self.world.now[name][label] = text

    def write_past(self, wanted: bool) -> None:
        if wanted:
            self.wait(self.session.execute("UPDATE author SET name = name"))

    @rule(number=picks, how=st.sampled_from(["set", "inside", "replace", "append", "none"]))
    def change_json(self, number: int, how: str) -> None:
        name = self.pick("book", number)
        if name is None:
            return
        book, record = self.objects[name], self.world.now[name]
        if how == "set":
            book.meta["k"] = number
            record["meta"]["k"] = number
        elif how == "inside":
            book.meta.setdefault("n", []).append(number)
            record["meta"].setdefault("n", []).append(number)
        elif how == "replace":
            book.meta = {"new": number}
            record["meta"] = {"new": number}
        elif how == "append" and record["labels"] is not None:
            book.labels.append("x")
            record["labels"].append("x")
        elif how == "none":
            book.labels = record["labels"] = None if record["labels"] is not None else ["y"]
            if record["labels"] is not None:
                record["labels"] = ["y"]

    # --- linking

    @rule(
        link=st.sampled_from(sorted(REVERSE)),
        number=picks,
        other=picks,
        how=st.sampled_from(["object", "key", "list", "unlink"]),
    )
    def relate(self, link: tuple[str, str], number: int, other: int, how: str) -> None:
        kind, relation = link
        name = self.pick(kind, number)
        target = self.pick(TO_ONE[kind][relation], other)
        if name is None or target is None:
            return
        instance, parent = self.objects[name], self.objects[target]
        if kind == "profile":
            self.load(parent, "profile")
            before = parent.profile  # whoever has the author now loses it
            if how != "unlink" and before is not None and before is not instance:
                for rival in self.world.linked("profile", "author", target):
                    self.world.now[rival]["author"] = None
            if how == "list":
                how = "reverse"
        if kind == "node" and not self.may_be_below(name, target):
            return
        if how == "unlink":
            if kind == "chapter":
                return
            setattr(instance, relation, None)
            target = None
        elif how == "object":
            setattr(instance, relation, parent)
        elif how == "list":
            getattr(parent, REVERSE[link]).add(instance)
        elif how == "reverse":
            parent.profile = instance
        else:
            if parent.id is None:
                self.wait(self.session.flush())
            setattr(instance, f"{relation}_id", parent.id)
        self.world.now[name][relation] = target

    def may_be_below(self, name: str, target: Optional[str]) -> bool:
        while target is not None:
            if target == name:
                return False
            target = self.world.now[target]["parent"]
        return True

    @rule(number=picks, other=picks)
    def take_from_list(self, number: int, other: int) -> None:
        author = self.pick("author", number)
        if author is None:
            return
        books = sorted(self.world.linked("book", "author", author))
        if not books:
            return
        name = books[other % len(books)]
        self.load(self.objects[author], "books")
        self.objects[author].books.remove(self.objects[name])
        self.world.now[name]["author"] = None

    @rule(number=picks, other=picks, how=st.sampled_from(["add", "remove", "clear"]), side=st.booleans())
    def tag(self, number: int, other: int, how: str, side: bool) -> None:
        book, tag = self.pick("book", number), self.pick("tag", other)
        if book is None or tag is None:
            return
        tags = self.world.now[book]["tags"]
        if how == "clear":
            self.objects[book].tags.clear()
            tags.clear()
            return
        owner, member, relation = (book, tag, "tags") if side else (tag, book, "books")
        related = getattr(self.objects[owner], relation)
        getattr(related, how)(self.objects[member])
        (tags.add if how == "add" else tags.discard)(tag)

    # --- deleting

    @rule(kind=st.sampled_from(sorted(KINDS)), number=picks)
    def delete(self, kind: str, number: int) -> None:
        name = self.pick(kind, number)
        if name is None or (kind == "node" and self.world.linked("node", "parent", name)):
            return
        self.wait(self.session.flush())
        self.wait(self.session.delete(self.objects[name]))
        self.world.delete(name)

    # --- session

    @rule()
    def flush(self) -> None:
        self.wait(self.session.flush())
        assert not self.session.new
        assert not self.session.dirty
        assert not self.session.deleted

    @rule(number=picks, what=st.sampled_from(["unique", "validation"]))
    def fail_to_flush(self, number: int, what: str) -> None:
        author = self.pick("author", number)
        if author is None:
            return
        if what == "unique":
            bad: Any = Author(name="bad", email=self.world.now[author]["email"])
            self.wait(self.session.flush())
        else:
            bad = Author(name=None)  # type: ignore[arg-type]
        self.put(bad)
        with pytest.raises((UniqueError, ValidationError, NotNullError)):
            self.wait(self.session.flush())
        assert bad.id is None
        self.session.expunge(bad)

    @precondition(lambda self: len(self.blocks) < 5)
    @rule()
    def enter(self) -> None:
        block = self.session.transaction()
        self.wait(block.__aenter__() if self.asynchronous else block.__enter__())
        self.blocks.append(block)
        self.world.enter()

    def exit(self, error: Optional[BaseException]) -> None:
        block = self.blocks.pop()
        arguments = (None, None, None) if error is None else (type(error), error, None)
        self.wait(block.__aexit__(*arguments) if self.asynchronous else block.__exit__(*arguments))

    @precondition(lambda self: self.blocks)
    @rule()
    def leave(self) -> None:
        self.exit(None)
        self.world.leave()

    @precondition(lambda self: self.blocks)
    @rule()
    def abandon(self) -> None:
        before = set(self.world.now)
        self.exit(ValueError("boom"))
        self.world.abandon()
        self.retire(before)

    @precondition(lambda self: not self.blocks)
    @rule()
    def commit(self) -> None:
        self.wait(self.session.commit())
        self.world.commit()

    @precondition(lambda self: not self.blocks)
    @rule()
    def rollback(self) -> None:
        before = set(self.world.now)
        self.wait(self.session.rollback())
        self.world.rollback()
        self.retire(before)

    def retire(self, before: set[str]) -> None:
        """Set aside the objects whose insert was rolled back."""
        for name in before - set(self.world.now):
            instance = self.objects[name]
            assert instance not in self.session, instance
            assert type(instance).__mapper__.identity is None or instance.id is None, instance
            self.retired[name] = instance

    @rule(number=picks, kind=st.sampled_from(sorted(KINDS)))
    def refresh(self, number: int, kind: str) -> None:
        name = self.pick(kind, number)
        if name is not None:
            self.wait(self.session.flush())
            self.wait(self.session.refresh(self.objects[name]))

    @rule(number=picks, rating=st.integers(0, 9))
    def change_past_the_session(self, number: int, rating: int) -> None:
        name = self.pick("book", number)
        if name is None:
            return
        book = self.objects[name]
        self.wait(self.session.flush())
        self.wait(self.session.execute("UPDATE book SET rating = ? WHERE id = ?", [rating, book.id]))
        self.wait(self.session.refresh(book))
        assert book.rating == rating
        self.world.now[name]["rating"] = rating

    @precondition(lambda self: not self.blocks)
    @rule()
    def close(self) -> None:
        """Close the session; what was not committed is gone, in memory as well."""
        before = set(self.world.now)
        keys = {name: key_of(o) for name, o in self.objects.items() if name in self.world.committed}
        self.wait(self.session.close())
        self.world.rollback()
        for name in before - set(self.world.now):
            self.retired[name] = self.objects[name]
        for name in self.world.now:
            self.compare(name, closed=True)
        self.open()
        for name in self.world.now:
            model = type(self.objects[name])
            key = self.world.now[name]["name"] if issubclass(model, Setting) else keys[name]
            found = self.wait(self.session.get_one(model, key or key_of(self.objects[name])))
            assert found is not self.objects[name]
            self.objects[name] = found

    # --- comparing

    def compare(self, name: str, closed: bool = False) -> None:
        record, instance = self.world.now[name], self.objects[name]
        kind = record["kind"]
        for key, expected in record.items():
            if key == "kind" or key == "tags":
                continue
            if key in TO_ONE[kind]:
                key_value = None if expected is None else self.objects[expected].id
                assert getattr(instance, f"{key}_id") == key_value, (name, key)
                if not closed:
                    self.load(instance, key)
                    related = getattr(instance, key)
                    assert related is (None if expected is None else self.objects[expected]), (name, key)
            else:
                assert getattr(instance, key) == expected, (name, key)

    def compare_list(self, name: str, relation: str, expected: set[str]) -> None:
        instance = self.objects[name]
        self.load(instance, relation)
        shown = list(getattr(instance, relation))
        assert len(shown) == len({id(o) for o in shown}), (name, relation, shown)
        wanted = {id(self.objects[other]): other for other in expected}
        assert {id(o) for o in shown} == set(wanted), (name, relation, shown, expected)

    @rule(loaded=st.booleans())
    def check(self, loaded: bool) -> None:
        """Compare everything: memory, identity map, lists, and the rows themselves."""
        self.wait(self.session.flush())
        for name, record in self.world.now.items():
            instance = self.objects[name]
            assert self.wait(self.session.get(type(instance), key_of(instance))) is instance, name
            self.compare(name)
            if loaded:
                kind = record["kind"]
                for (child, relation), reverse in REVERSE.items():
                    if TO_ONE[child][relation] != kind:
                        continue
                    expected = self.world.linked(child, relation, name)
                    if child == "profile":
                        self.load(instance, reverse)
                        shown = getattr(instance, reverse)
                        assert shown is (self.objects[next(iter(expected))] if expected else None), name
                    else:
                        self.compare_list(name, reverse, expected)
                if kind == "book":
                    self.compare_list(name, "tags", record["tags"])
                elif kind == "tag":
                    self.compare_list(name, "books", self.world.linked("book", "tags", name))
        self.check_rows()

    def check_rows(self) -> None:
        for kind, model in KINDS.items():
            found = {id(o) for o in self.wait(self.session.query(model).all())}
            assert found == {id(self.objects[name]) for name in self.world.of(kind)}, kind
            (pk,) = model.__mapper__.pk
            columns = [pk.name, LABEL[kind], *(f"{key}_id" for key in TO_ONE[kind])]
            rows = self.wait(self.session.execute(f"SELECT {', '.join(columns)} FROM {kind}")).all()
            expected = {
                (
                    key_of(self.objects[name]),
                    record[LABEL[kind]],
                    *(None if record[key] is None else self.objects[record[key]].id for key in TO_ONE[kind]),
                )
                for name, record in self.world.now.items()
                if record["kind"] == kind
            }
            assert {tuple(row) for row in rows} == expected, kind
        links = self.wait(self.session.execute("SELECT book_id, tag_id FROM book_tags")).all()
        wanted = {
            (self.objects[book].id, self.objects[tag].id)
            for book in self.world.of("book")
            for tag in self.world.now[book]["tags"]
        }
        assert {tuple(link) for link in links} == wanted

    @rule(number=picks)
    def look(self, number: int) -> None:
        """Read relations in passing, so that some are loaded when things change."""
        for kind in ("author", "tag", "book"):
            name = self.pick(kind, number)
            if name is None or not self.world.now:
                continue
            self.wait(self.session.flush())
            for relation in type(self.objects[name]).__mapper__.relations:
                self.load(self.objects[name], relation)
                found = getattr(self.objects[name], relation)
                if hasattr(found, "is_loaded"):
                    len(found)

    @invariant()
    def scalars_agree(self) -> None:
        for name, record in self.world.now.items():
            label = LABEL[record["kind"]]
            assert getattr(self.objects[name], label) == record[label]


class AsyncMachine(Machine):
    asynchronous = True


MACHINES = pytest.mark.parametrize("machine", [Machine, AsyncMachine], ids=["sync", "async"])


def explore(machine: Any, examples: int, steps: int, same: bool = True) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=same,
            phases=[Phase.explicit, Phase.reuse, Phase.generate, *([] if same else [Phase.shrink])],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.requirement("R12", "R20", "R21", "R22", "R23", "R24", "R26", "R27", "R29", "R30")
@MACHINES
def test_a_session_agrees_with_a_plain_model_of_the_world(machine: Any) -> None:
    explore(machine, 100, 30)


@pytest.mark.long
@MACHINES
def test_a_session_agrees_with_a_plain_model_of_the_world_at_length(machine: Any) -> None:
    explore(machine, 2000, 60, same=False)
