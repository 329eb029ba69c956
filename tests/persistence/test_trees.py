"""Random trees of nested transaction blocks that succeed or fail, against a plain model, sync and async."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Union

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blaze import Engine, create_all
from tests.persistence.models import MODELS, Book, Tag
from tests.persistence.twins import Database, Twin


class Boom(Exception):
    pass


@dataclass
class Step:
    """A change: of the title, of a JSON value in place, of links, a new or a deleted tag, a flush, a read."""

    what: str


@dataclass
class Block:
    """A block with its steps; it may fail at its end, and its error may go through blocks around it."""

    steps: list[Union[Step, Block]]
    fails: bool
    caught: bool  # whether the block around it catches its error


@dataclass
class State:
    """What the object and the tables hold."""

    title: str = "start"
    numbers: list[int] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)
    linked: set[str] = field(default_factory=set)


STEPS = ["title", "number", "add", "link", "unlink", "delete", "flush", "raw", "check"]
steps = st.sampled_from(STEPS).map(Step)
blocks = st.recursive(
    st.builds(Block, st.lists(steps, max_size=4), st.booleans(), st.booleans()),
    lambda inner: st.builds(
        Block, st.lists(st.one_of(steps, inner), max_size=5), st.booleans(), st.booleans()
    ),
    max_leaves=12,
)
stories = st.lists(st.one_of(blocks, steps, st.sampled_from(["commit", "rollback"]).map(Step)), max_size=8)


class Story:
    """Lives steps and blocks in a session and in the model; compares both."""

    def __init__(self, s: Twin, book: Book) -> None:
        self.s = s
        self.book = book
        self.now, self.committed = State(), State()
        self.objects: dict[str, Tag] = {}
        self.count = 0
        self.depth = 0

    async def live(self, story: list[Union[Step, Block]]) -> None:
        for part in story:
            if isinstance(part, Step):
                await self.step(part.what)
                continue
            before = deepcopy(self.now if self.depth else self.committed)
            self.depth += 1
            try:
                async with self.s.transaction():
                    await self.live(part.steps)
                    if part.fails:
                        raise Boom
            except Boom:
                self.now = before
                if self.depth > 1 and not part.caught:
                    raise
            else:
                if self.depth == 1:
                    self.committed = deepcopy(self.now)
            finally:
                self.depth -= 1
            await self.check()

    async def step(self, what: str) -> None:
        s, book, now = self.s, self.book, self.now
        self.count += 1
        name = f"t{self.count}"
        if what == "title":
            book.title = now.title = name
        elif what == "number":
            book.meta["n"].append(self.count)
            now.numbers.append(self.count)
        elif what == "add":
            tag = self.objects[name] = Tag(name=name)
            await s.add(tag)
            now.tags.add(name)
        elif what == "link":
            tag = self.objects[name] = Tag(name=name)
            book.tags.add(tag)
            now.tags.add(name)
            now.linked.add(name)
        elif what == "unlink" and now.linked:
            gone = min(now.linked)
            book.tags.remove(self.objects[gone])
            now.linked.discard(gone)
        elif what == "delete" and now.tags:
            gone = max(now.tags)
            await s.delete(self.objects[gone])
            now.tags.discard(gone)
            now.linked.discard(gone)
            await s.flush()
        elif what == "flush":
            await s.flush()
        elif what == "raw":
            await s.execute("INSERT INTO tag (name) VALUES (?)", [name])
            self.objects[name] = (await s.all(Tag, Tag.name == name))[0]
            now.tags.add(name)
        elif what == "check":
            await self.check()
        elif what == "commit":
            await s.commit()
            self.committed = deepcopy(now)
        elif what == "rollback":
            await s.rollback()
            self.now = deepcopy(self.committed)

    async def check(self) -> None:
        """The object, the session's view of the tables, and the identity map agree with the model."""
        s, book, now = self.s, self.book, self.now
        assert book.title == now.title
        assert book.meta == {"n": now.numbers}
        assert {tag.name for tag in book.tags} == now.linked
        found = await s.all(Tag)
        assert {tag.name for tag in found} == now.tags
        assert all(self.objects[tag.name] is tag for tag in found if tag.name in now.linked)
        assert {n for (n,) in (await s.execute(LINKED)).all()} == now.linked
        assert len(s.session.transactions.levels) == self.depth


LINKED = "SELECT t.name FROM book_tags b JOIN tag t ON t.id = b.tag_id"


@pytest.fixture(params=["sync", "async"])
def kind(request: Any) -> Any:
    return request.param


async def tell(kind: str, story: list[Any]) -> None:
    engine = Engine("sqlite:///:memory:")
    try:
        create_all(engine, MODELS)
        db = Database(engine, kind)
        await db.save(Book(title="start", meta={"n": []}))
        async with db.session() as s:
            book = await s.get_one(Book, 1)
            await s.read(book, "tags")
            lived = Story(s, book)
            await lived.live(story)
            await lived.check()
            await s.rollback()
            lived.now = deepcopy(lived.committed)
            await lived.check()
            await s.rollback()
        assert engine.pool_stats().in_use == 0
        assert await db.rows("SELECT title FROM book") == [(lived.committed.title,)]
        assert {name for (name,) in await db.rows("SELECT name FROM tag")} == lived.committed.tags
    finally:
        await engine.adispose()


def check_stories(kind: str, examples: int) -> None:
    loop = asyncio.new_event_loop()

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(stories)
    def check(story: list[Any]) -> None:
        loop.run_until_complete(tell(kind, story))

    try:
        check()
    finally:
        loop.close()


@pytest.mark.requirement("R7", "R22")
def test_trees_of_blocks_do_what_a_plain_model_does(kind: str) -> None:
    check_stories(kind, 40)


@pytest.mark.long
@pytest.mark.requirement("R7", "R22")
def test_many_trees_of_blocks_do_what_a_plain_model_does(kind: str) -> None:
    check_stories(kind, 1500)
