"""KeyboardInterrupt at every line that Blaze runs: no row, object, connection or transaction is lost."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import blaze
import blaze_sqlite
from blaze import Engine, Session, create_all
from tests.persistence.models import MODELS, Author, Book, Profile, Tag

OURS = (*(str(Path(package.__file__).parent) for package in (blaze, blaze_sqlite)), "<blaze ")


class Interrupter:
    """Raises KeyboardInterrupt before the line with a number is run; lines are those of Blaze's own code.

    With `places` only the first visit of each line of source counts.
    """

    def __init__(self, number: int, places: bool) -> None:
        self.left = number
        self.places: Any = set() if places else None
        self.hit: Any = None

    def in_frame(self, frame: Any, event: str, argument: Any) -> Any:
        if event == "line":
            if self.places is not None:
                place = (frame.f_code, frame.f_lineno)
                if place in self.places:
                    return self.in_frame
                self.places.add(place)
            self.left -= 1
            if not self.left:
                sys.settrace(None)
                self.hit = (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
                raise KeyboardInterrupt
        return self.in_frame

    def trace(self, frame: Any, event: str, argument: Any) -> Any:
        return self.in_frame if frame.f_code.co_filename.startswith(OURS) else None

    def run(self, work: Callable[[], Any]) -> None:
        before = sys.gettrace()
        gc.disable()  # sessions of former runs would be cleared up in the middle of this one
        sys.settrace(self.trace)
        try:
            work()
        finally:
            sys.settrace(before)
            gc.enable()


class Story:
    """A session's life in steps, each of which may be taken again after an interrupt."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.session = Session(engine)
        self.author = Author(name="a", email="a")
        self.book = Book(title="x", meta={"k": [1]}, author=self.author)
        self.other = Book(title="y")
        self.tags = [Tag(name="t"), Tag(name="u")]
        self.profile = Profile(text="p")
        self.stage = 0

    def steps(self) -> list[Callable[[], Any]]:
        return [
            self.add, self.flush, self.change, self.commit_first, self.work, self.commit_second, self.close,
        ]  # fmt: skip

    def add(self) -> None:
        self.session.add_all([self.book, self.other, *self.tags])

    def flush(self) -> None:
        self.session.flush()

    def change(self) -> None:
        self.author.name = "b"
        self.book.meta["k"] = [1, 2]
        self.book.tags.add(*self.tags)
        self.author.profile = self.profile
        self.session.add(self.profile)

    def commit_first(self) -> None:
        self.session.commit()
        self.stage = 1

    def work(self) -> None:
        self.author.email = "c"
        self.book.tags.remove(self.tags[0])
        self.session.delete(self.other)

    def commit_second(self) -> None:
        self.session.commit()
        self.stage = 2

    def close(self) -> None:
        self.session.close()

    def rows(self) -> Any:
        with Session(self.engine) as session:
            return (
                tuple(session.query(Author.name, Author.email).all()),
                sorted(session.query(Book.title).scalars()),
                session.query(Tag).count(),
                sorted(row[0] for row in session.execute("SELECT tag_id FROM book_tags")),
                session.query(Profile.author_id).scalars(),
            )

    EXPECTED = (
        ((), [], 0, [], []),
        ((("b", "a"),), ["x", "y"], 2, [1, 2], [1]),
        ((("b", "c"),), ["x"], 2, [2], [1]),
    )

    def check(self) -> None:
        """The rows are those of a commit, and the objects agree with them."""
        found = self.rows()
        assert found in self.EXPECTED, found
        stage = self.EXPECTED.index(found)
        assert stage >= self.stage
        self.stage = stage
        keys = (self.author.id, self.book.id, self.book.author_id, self.tags[0].id, self.tags[1].id)
        if not stage:
            assert keys == (None,) * 5
            assert (self.other.id, self.profile.id) == (None, None)
            return
        assert keys == (1, 1, 1, 1, 2)
        assert self.profile.id == 1
        assert (self.author.name, self.author.email) == (("b", "a"), ("b", "c"))[stage - 1]
        if not self.session.closed:
            assert (self.other in self.session) is (stage == 1)
            assert [tag.id for tag in self.book.tags] == ([1, 2], [2])[stage - 1]
            assert self.book.meta == {"k": [1, 2]}
            assert self.author.profile is self.profile


@pytest.fixture
def memory() -> Iterator[Engine]:
    with Engine("sqlite://", pool_size=1, max_overflow=1, pool_timeout=0.0) as engine:
        create_all(engine, MODELS)
        yield engine


def empty(engine: Engine) -> None:
    with engine.connection() as connection:
        for table in ("book_tags", "profile", "book", "author", "tag"):
            connection.execute(f"DELETE FROM {table}")


def assert_whole(engine: Engine) -> None:
    """Nothing is in use, nobody holds a lock, and the pool gives all of its connections."""
    stats = engine.pool_stats()
    assert (stats.in_use, stats.waiting) == (0, 0), stats
    both = [engine.acquire(), engine.acquire()]
    for connection in both:
        assert not connection.in_transaction
        connection.begin()
        connection.rollback()
        engine.release(connection)


def interrupted(story: Story, number: int, after: str, places: bool) -> Any:
    """Live the story with an interrupt in it; say where it was, None when it came to its end before."""
    steps = story.steps()
    interrupter = Interrupter(number, places)
    at = 0

    def live() -> None:
        nonlocal at
        while at < len(steps):
            steps[at]()
            at += 1

    try:
        interrupter.run(live)
    except KeyboardInterrupt:
        pass
    else:
        return interrupter.hit
    if after == "again":
        live()
    elif at == len(steps) - 1:  # closing
        story.session.close()
    elif after == "rollback":
        story.session.rollback()
        story.check()
        at = (0, 4, 6)[story.stage]
        live()
    else:
        story.session.close()
        story.check()
    return interrupter.hit


@pytest.mark.requirement("R22", "R110")
@pytest.mark.parametrize("places", [True, pytest.param(False, marks=pytest.mark.long)])
@pytest.mark.parametrize("after", ["again", "rollback", "close"])
def test_an_interrupt_at_every_line_loses_nothing(memory: Engine, after: str, places: bool) -> None:
    story = Story(memory)
    assert interrupted(story, 0, after, places) is None  # what is generated at first use is there now
    number, hit = ["again", "rollback", "close"].index(after), object()
    while hit is not None:
        number += 5 if places else 1  # each line is taken in the long run
        empty(memory)
        story = Story(memory)
        hit = interrupted(story, number, after, places)
        try:
            assert_whole(memory)
            story.check()
            assert after == "close" or story.stage == 2
        except BaseException as error:
            raise AssertionError(f"interrupted at {hit}, the line of number {number}") from error
    assert number > 500
