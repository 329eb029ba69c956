"""Hooks in a flush and around transactions: their order, what they may do, what an error in one leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from blaze.errors import SessionError, ValidationError
from tests.persistence.models import Author, Book, Profile, Tag
from tests.persistence.twins import Database, names


class Recorder:
    """Handlers that note what they are called for; `fail` names the event that raises."""

    def __init__(self, fail: str = "") -> None:
        self.seen: list[str] = []
        self.fail = fail

    def note(self, event: str, instance: Any = None) -> None:
        label = (
            ""
            if instance is None
            else f" {getattr(instance, 'name', None) or getattr(instance, 'title', '')}"
        )
        self.seen.append(event + label)
        if event == self.fail:
            raise ValueError(f"{event} fails")

    def before_validate(self, instance: Any) -> None:
        self.note("before_validate", instance)

    def after_validate(self, instance: Any) -> None:
        self.note("after_validate", instance)

    def before_save(self, instance: Any, created: bool) -> None:
        self.note("before_save" if created else "before_update", instance)

    def after_save(self, instance: Any, created: bool) -> None:
        assert instance.id is not None
        self.note("after_save" if created else "after_update", instance)

    def before_delete(self, instance: Any) -> None:
        self.note("before_delete", instance)

    def after_delete(self, instance: Any) -> None:
        self.note("after_delete", instance)

    def before_commit(self) -> None:
        self.note("before_commit")

    def after_commit(self) -> None:
        self.note("after_commit")

    def after_rollback(self, error: Any) -> None:
        self.note("after_rollback" if error is None else f"after_rollback {type(error).__name__}")


@pytest.mark.requirement("R28")
async def test_the_order_of_hooks_in_a_commit(db: Database) -> None:
    recorder = Recorder()
    async with db.session(hooks=[recorder]) as s:
        author = Author(name="a")
        await s.add(author)
        await s.commit()
        author.name = "b"
        await s.commit()
        await s.delete(author)
        await s.commit()
        await s.add(Tag(name="lost"))
        await s.rollback()
    save = ["before_validate {0}", "after_validate {0}"]
    assert recorder.seen == [
        "before_commit", *[x.format("a") for x in save], "before_save a", "after_save a", "after_commit",
        "before_commit", *[x.format("b") for x in save], "before_update b", "after_update b", "after_commit",
        "before_commit", "before_delete b", "after_delete b", "after_commit",
        "after_rollback",
    ]  # fmt: skip


async def test_hooks_may_add_change_and_delete(db: Database) -> None:
    class Audit:
        def before_commit(self, session: Any) -> None:
            if not session.query(Tag).__class__.__name__.startswith("Async"):
                pass
            session.add(Tag(name="from before_commit"))

        def before_save(self, session: Any, instance: Any) -> None:
            if isinstance(instance, Author):
                instance.email = f"{instance.name}@x"
                if not instance.books.is_loaded or not list(instance.books):
                    instance.books.add(Book(title=f"by {instance.name}"))

        def before_delete(self, session: Any, instance: Any) -> None:
            if isinstance(instance, Author):
                for book in list(instance.books):
                    session.delete(book)

    async with db.session(hooks=[Audit()]) as s:
        author = Author(name="a")
        await s.add(author)
        await s.commit()
        assert await db.rows("SELECT email, title FROM author JOIN book ON author_id = author.id") == [
            ("a@x", "by a")
        ]
        await s.delete(author)
        await s.commit()
        assert await db.rows("SELECT (SELECT count(*) FROM author), (SELECT count(*) FROM book)") == [(0, 0)]
        assert names(await s.all(Tag)) == ["from before_commit"] * 2


async def test_a_change_made_after_a_save_is_written_by_the_next_flush(db: Database) -> None:
    class Late:
        def after_save(self, instance: Any, created: bool) -> None:
            if created:
                instance.name = f"{instance.name} {instance.id}"

    async with db.session(hooks=[Late()]) as s:
        tag = Tag(name="t")
        await s.add(tag)
        await s.flush()
        assert s.dirty == [tag]
        await s.commit()
    assert await db.rows("SELECT name FROM tag") == [("t 1",)]


@pytest.mark.parametrize(
    "event",
    [
        "before_validate",
        "after_validate",
        "before_save",
        "after_save",
        "before_delete",
        "after_delete",
        "after_update",
    ],
)
@pytest.mark.parametrize("earlier", [False, True])
async def test_an_error_in_a_hook_of_a_flush_leaves_everything_as_it_was(
    db: Database, event: str, earlier: bool
) -> None:
    await db.save(Author(name="old", profile=Profile(text="p")), Author(name="gone"), Tag(name="t"))
    recorder = Recorder(event)
    async with db.session(hooks=[recorder]) as s:
        old, gone = await s.all(Author)
        (tag,) = await s.all(Tag)
        await s.read(old, "books")
        profile = await s.read(old, "profile")
        await s.read(gone, "profile")
        await s.read(tag, "books")
        if earlier:
            await s.execute("INSERT INTO award (name) VALUES ('earlier')")
        old.name = "new name"
        book = Book(title="b", meta={"a": 1}, tags=[tag])
        gone.profile = profile
        old.books.add(book)
        await s.delete(gone)
        for _ in range(2):
            with pytest.raises(ValueError, match=event):
                await s.flush()
            assert (s.new, s.dirty, s.deleted) == ([book], [old, profile], [gone])
            assert (book.id, book.author_id, book.author, book.meta) == (None, old.id, old, {"a": 1})
            assert (list(old.books), list(book.tags), list(tag.books)) == ([book], [tag], [book])
            assert (old.name, old.profile, gone.profile, profile.author) == (
                "new name",
                None,
                gone.profile,
                gone,
            )
            assert await s.get(Author, old.id) is old
        recorder.fail = ""
        profile.author = old
        await s.commit()
        assert (book.author_id, old.profile) == (old.id, profile)
    assert await db.rows("SELECT name FROM author") == [("new name",)]
    assert await db.rows("SELECT count(*) FROM book_tags") == [(1,)]
    assert await db.rows("SELECT count(*) FROM award") == [(int(earlier),)]


async def test_an_error_before_the_commit_keeps_everything_pending(db: Database) -> None:
    recorder = Recorder("before_commit")
    async with db.session(hooks=[recorder]) as s:
        tag = Tag(name="t")
        await s.add(tag)
        for _ in range(2):
            with pytest.raises(ValueError, match="before_commit fails"):
                await s.commit()
            assert s.new == [tag]
            assert not s.in_transaction
        assert recorder.seen == ["before_commit"] * 2
        recorder.fail = ""
        await s.commit()
    assert await db.rows("SELECT name FROM tag") == [("t",)]


async def test_an_error_before_the_commit_of_a_block_rolls_it_back(db: Database) -> None:
    recorder = Recorder("before_commit")
    async with db.session(hooks=[recorder]) as s:
        tag = Tag(name="t")
        with pytest.raises(ValueError, match="before_commit fails"):
            async with s.transaction():
                await s.add(tag)
        assert tag not in s.session
        assert recorder.seen == ["before_commit", "after_rollback ValueError"]
        recorder.fail = ""
        async with s.transaction():
            await s.add(tag)
    assert await db.rows("SELECT name FROM tag") == [("t",)]


async def test_an_error_after_the_commit_does_not_undo_it(db: Database) -> None:
    recorder = Recorder("after_commit")
    async with db.session(hooks=[recorder]) as s:
        tag = Tag(name="t")
        await s.add(tag)
        with pytest.raises(ValueError, match="after_commit fails"):
            await s.commit()
        assert tag in s.session
        assert s.new == s.dirty == []
    assert await db.rows("SELECT name FROM tag") == [("t",)]


async def test_async_handlers_are_awaited_in_an_async_session(awaiting: Database) -> None:
    class Handlers:
        async def before_save(self, session: Any, instance: Any) -> None:
            if isinstance(instance, Book):
                instance.rating = await session.query(Tag).count()

        async def on_load(self, session: Any, instance: Any) -> None:
            seen.append(instance)

    seen: list[Any] = []
    await awaiting.save(Tag(name="t"))
    async with awaiting.session(hooks=[Handlers()]) as s:
        book = Book(title="b")
        await s.add(book)
        await s.commit()
        assert book.rating == 1
        assert await s.all(Tag) == seen


async def test_a_validation_error_names_every_field(db: Database) -> None:
    async with db.session() as s:
        bad: Any = Book(title=None, rating="x")  # type: ignore[arg-type]
        await s.add(bad)
        with pytest.raises(ValidationError) as caught:
            await s.flush()
        assert set(caught.value.errors) == {"title", "rating"}
        await s.rollback()


@pytest.mark.requirement("R28")
@pytest.mark.parametrize(
    "event", ["before_save", "after_save", "before_commit", "after_commit", "before_execute"]
)
async def test_a_hook_gathers_tasks_on_its_own_session(awaiting: Database, event: str) -> None:
    found: list[Any] = []

    async def handler(session: Any) -> None:
        if not found:
            found.append(0)
            counts = [session.query(Tag).count(), session.exec_scalar("SELECT 7"), session.get(Tag, 99)]
            found.extend(await asyncio.gather(*map(asyncio.ensure_future, counts)))

    hooks = type("Hooks", (), {event: staticmethod(handler)})()
    async with awaiting.session(hooks=[hooks]) as s:
        await s.add(Tag(name="t"))
        await asyncio.wait_for(s.session.commit(), 10)
        assert await s.session.query(Tag).count() == 1
    assert found[2:] == [7, None]
    assert found[1] in (0, 1)


async def test_a_task_that_outlives_its_hook_waits_for_its_turn(awaiting: Database) -> None:
    tasks: list[Any] = []

    class Hooks:
        async def after_save(self, session: Any) -> None:
            tasks.append(asyncio.ensure_future(session.query(Tag).count()))

    async with awaiting.session(hooks=[Hooks()]) as s:
        await s.add_all([Tag(name="t"), Tag(name="u")])
        await asyncio.wait_for(s.session.commit(), 10)
        assert await asyncio.wait_for(asyncio.gather(*tasks), 10) == [2, 2]


async def test_a_task_of_a_hook_opens_no_stream_and_no_wait_for_ever(awaiting: Database) -> None:
    problems: list[BaseException] = []

    async def stream(session: Any) -> None:
        try:
            async for _ in session.query(Tag).stream():
                pass
        except SessionError as error:
            problems.append(error)

    class Hooks:
        async def after_save(self, session: Any) -> None:
            await asyncio.gather(asyncio.ensure_future(stream(session)))

    async with awaiting.session(hooks=[Hooks()]) as s:
        await s.add(Tag(name="t"))
        await asyncio.wait_for(s.session.commit(), 10)
    assert "give the task a session of its own" in str(problems[0])


async def test_no_object_leaves_during_the_flush_of_another_task(awaiting: Database) -> None:
    going = asyncio.Event()
    checked = asyncio.Event()

    class Hooks:
        async def after_save(self) -> None:
            going.set()
            await checked.wait()

    async with awaiting.session(hooks=[Hooks()]) as s:
        tag = Tag(name="t")
        await s.add(tag)
        flushing = asyncio.ensure_future(s.session.commit())
        await asyncio.wait_for(going.wait(), 10)
        with pytest.raises(SessionError, match="another task is flushing"):
            s.session.expunge(tag)
        checked.set()
        await flushing
        s.session.expunge(tag)
        assert tag not in s.session
