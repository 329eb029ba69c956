"""Every event from every source, what handlers may do with the session, and what no hook costs."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from collections.abc import Iterator
from typing import Any, Optional

import pytest

import blaze
from blaze import (
    Field,
    ForeignKey,
    Model,
    OneToMany,
    Session,
    SessionError,
    create_all,
    field,
    foreign_key,
    hooks,
    one_to_many,
    plugins,
)
from blaze.engine import Engine
from blaze.errors import ConfigurationError
from blaze.hooks import hookimpl
from blaze.hooks.spec import EVENTS, INSTANCE_EVENTS, SESSION_EVENTS
from tests.persistence.twins import Database, settled

seen: list[str] = []


class Noted(Model):
    """Methods named after every event of an object."""

    id: Field[int] = field(primary_key=True)
    name: Field[str]

    class Meta:
        abstract = True

    def before_validate(self, session: Any, created: bool) -> None:
        self.note("before_validate")

    def after_validate(self, session: Any) -> None:
        self.note("after_validate")

    def before_save(self, session: Any, created: bool) -> None:
        self.note("before_save")

    def after_save(self) -> None:
        self.note("after_save")

    def before_delete(self, session: Any) -> None:
        self.note("before_delete")

    def after_delete(self) -> None:
        self.note("after_delete")

    def on_load(self, session: Any) -> None:
        self.note("on_load")

    def note(self, event: str) -> None:
        seen.append(event)


class Parcel(Noted):
    items: OneToMany[Item] = one_to_many()


class Item(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]
    parcel: ForeignKey[Optional[Parcel]] = foreign_key(related_name="items", on_delete="CASCADE")


class Awaited(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]

    async def before_save(self, session: Any) -> None:
        await asyncio.sleep(0)
        self.name = self.name.upper()


class Plain(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]


MODELS = [Parcel, Item, Awaited, Plain]


@pytest.fixture
def parcels(engine: Engine) -> Iterator[None]:
    create_all(engine, MODELS)
    seen.clear()
    yield
    plugins.registry.unregister("blaze.hooks", "noting")


def handler(event: str, waits: bool) -> Any:
    def plain() -> None:
        seen.append(event)

    async def waiting() -> None:
        await asyncio.sleep(0)
        seen.append(event)

    return waiting if waits else plain


def noting(event: str, waits: bool, mark: Any = staticmethod) -> Any:
    """Return an object with a method named after an event."""
    inner = handler(event, waits)

    async def waiting(self: Any) -> None:
        await inner()

    def plain(self: Any) -> None:
        inner()

    method = waiting if waits else plain
    return type("Noting", (), {event: mark(method)})()


async def everything_happens(s: Any, model: Any = Plain) -> None:
    """Make every event fire at least once."""
    first, second = model(name="first"), model(name="second")
    await s.add_all([first, second])
    await s.commit()
    await s.delete(second)
    await s.commit()
    s.session.expunge(first)
    assert (await s.get(model, first.id)) is not first
    await s.add(model(name="third"))
    await s.flush()
    await s.rollback()


@pytest.mark.requirement("R28", "R90", "R98")
@pytest.mark.parametrize("waits", [False, True], ids=["def", "async def"])
@pytest.mark.parametrize("source", ["function", "session", "plugin"])
@pytest.mark.parametrize("event", EVENTS)
async def test_every_event_fires_from_every_source(
    db: Database, parcels: None, event: str, source: str, waits: bool
) -> None:
    handle = None
    given: list[Any] = []
    if source == "function":
        handle = hooks.register(event, handler(event, waits))
    elif source == "session":
        given = [noting(event, waits, lambda method: method)]
    else:
        plugins.register("blaze.hooks", "noting", noting(event, waits, hookimpl))
    try:
        if waits and not db.asynchronous:
            with pytest.raises(
                ConfigurationError, match=rf"handles {event} with `async def`.*use AsyncSession"
            ):
                db.open(hooks=given)
            return
        async with db.session(hooks=given) as s:
            await everything_happens(s)
    finally:
        if handle is not None:
            handle.remove()
    assert set(seen) == {event}
    before = len(seen)
    plugins.registry.unregister("blaze.hooks", "noting")
    async with db.session() as s:
        await everything_happens(s)
    assert len(seen) == before, "what was removed is not called in later sessions"


@pytest.mark.requirement("R28")
@pytest.mark.parametrize("event", INSTANCE_EVENTS)
async def test_methods_of_a_model_and_of_its_abstract_base_are_hooks(
    db: Database, parcels: None, event: str
) -> None:
    async with db.session() as s:
        await everything_happens(s, Parcel)
    assert event in seen


async def test_async_methods_of_a_model(db: Database, parcels: None) -> None:
    async with db.session() as s:
        await s.add(Awaited(name="a"))
        if not db.asynchronous:
            with pytest.raises(
                ConfigurationError, match=r"Awaited.before_save handles before_save with `async def`"
            ):
                await s.flush()
            await s.rollback()
            return
        await s.commit()
    assert await db.rows("SELECT name FROM awaited") == [("A",)]


@pytest.mark.requirement("R90")
async def test_a_handler_of_an_abstract_base_is_called_for_its_models(db: Database, parcels: None) -> None:
    kinds: list[str] = []
    handles = [
        hooks.register("before_save", lambda instance: kinds.append(type(instance).__name__), model=Noted),
        hooks.register("before_save", lambda: kinds.append("first"), model=Noted, priority=1),
        hooks.register("before_save", lambda: kinds.append("other model"), model=Item),
    ]
    try:
        async with db.session() as s:
            await s.add_all([Parcel(name="p"), Plain(name="x")])
            await s.commit()
    finally:
        for handle in handles:
            handle.remove()
    assert kinds == ["first", "Parcel"]


# --- loading


@pytest.mark.requirement("R28")
async def test_on_load_fires_once_for_each_object_that_a_row_made(db: Database, parcels: None) -> None:
    await db.save(*[Parcel(name=f"p{n}", items=[Item(name=f"i{n}{m}") for m in range(2)]) for n in range(3)])

    class Loads:
        def on_load(self, instance: Any) -> None:
            loaded.append(instance.name)

    loaded: list[str] = []
    async with db.session(hooks=[Loads()]) as s:
        for _ in range(2):
            parcels_found = await settled(s.session.query(Parcel).order_by("id").include(Parcel.items).all())
            assert loaded == ["p0", "p1", "p2", "i00", "i01", "i10", "i11", "i20", "i21"]
        assert await s.get(Parcel, 1) is parcels_found[0]
        await s.refresh(parcels_found[0])
        assert len(loaded) == 9, "the identity map held them"
    loaded.clear()
    async with db.session(hooks=[Loads()]) as s:
        (item,) = await settled(s.session.query(Item).where(Item.name == "i10").all())
        assert loaded == ["i10"]
        await s.load(item, Item.parcel)
        assert loaded == ["i10", "p1"]
        await s.read(item.parcel, "items")
        assert loaded == ["i10", "p1", "i11"]
        found = await settled(s.session.query(Item).select_related("parcel").where(Item.name == "i20").all())
        assert loaded == ["i10", "p1", "i11", "i20", "p2"] or loaded == ["i10", "p1", "i11", "p2", "i20"]
        await settled(s.session.query(Item.name, Parcel).join(Item.parcel).where(Parcel.name == "p0").all())
        assert loaded[-1] == "p0"
        assert found[0].parcel.name == "p2"


async def test_a_handler_of_on_load_may_load_more(db: Database, parcels: None) -> None:
    await db.save(*[Plain(name=f"n{n}") for n in range(3)])
    loaded: list[str] = []

    class Loads:
        async def on_load(self, session: Any, instance: Any) -> None:
            loaded.append(instance.name)
            await settled(session.query(Plain).all())

    class Blocking:
        def on_load(self, session: Any, instance: Any) -> None:
            loaded.append(instance.name)
            session.query(Plain).all()

    async with db.session(hooks=[Loads() if db.asynchronous else Blocking()]) as s:
        await s.get(Plain, 2)
        assert sorted(loaded) == ["n0", "n1", "n2"]


# --- using the session in handlers


def using(event: str, use: Any, asynchronous: bool) -> Any:
    """Return hooks whose handler of one event runs `use(session)`; it may not run without end."""
    calls = [0]

    def counted() -> None:
        calls[0] += 1
        assert calls[0] < 60, "a handler is called for what it does itself"

    async def waiting(self: Any, session: Any) -> None:
        counted()
        found = use(session)
        if inspect.isawaitable(found):
            await found

    def plain(self: Any, session: Any) -> None:
        counted()
        use(session)

    return type("Using", (), {event: waiting if asynchronous else plain, "calls": calls})()


USES: dict[str, Any] = {
    "query": lambda s: s.query(Plain).all(),
    "get": lambda s: s.get(Plain, 1),
    "execute": lambda s: s.execute("SELECT count(*) FROM plain"),
    "add": lambda s: None if s.new or s.identity[Item] else s.add(Item(name="from a hook")),
    "flush": lambda s: s.flush(),
    "bulk_insert": lambda s: s.bulk_insert([Item(name="from a hook")]),
}


@pytest.mark.requirement("R28", "R98")
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("event", EVENTS)
async def test_handlers_may_use_the_session(db: Database, parcels: None, event: str, use: str) -> None:
    await db.save(Plain(name="old"), Plain(name="gone"))
    given = using(event, USES[use], db.asynchronous)
    s = db.open(hooks=[given])
    old, gone = await s.get(Plain, 1), await s.get(Plain, 2)
    old.name = "changed"
    await s.delete(gone)
    await s.add(Plain(name="new"))
    await s.commit()
    old.name = "lost"
    await s.flush()
    await s.rollback()
    assert old.name == "changed"
    await s.close()
    assert given.calls[0]
    assert await db.rows("SELECT name FROM plain ORDER BY id") == [("changed",), ("new",)]


@pytest.mark.parametrize("use", ["commit", "rollback", "close"])
@pytest.mark.parametrize(
    "event",
    [e for e in EVENTS if e not in ("on_load", "after_commit", "after_rollback")],
)
async def test_a_handler_in_the_middle_of_something_may_not_end_the_transaction(
    db: Database, parcels: None, event: str, use: str
) -> None:
    await db.save(Plain(name="gone"))
    given = using(event, lambda s: getattr(s, use)(), db.asynchronous)
    s = db.open(hooks=[given])
    new = Plain(name="new")

    async def work() -> None:
        await s.delete(await s.get(Plain, 1))
        await s.add(new)
        await s.commit()

    with pytest.raises(SessionError, match=rf"{use}\(\) inside "):
        await work()
    assert not s.closed
    await s.rollback()
    await s.close()
    assert await db.rows("SELECT name FROM plain") == [("gone",)]


@pytest.mark.parametrize("event", ["after_commit", "after_rollback"])
async def test_a_handler_after_the_end_may_commit_what_it_does(
    db: Database, parcels: None, event: str
) -> None:
    async def audit(s: Any) -> None:
        s.add(Item(name="audit"))
        await s.commit()

    def audit_now(s: Any) -> None:
        s.add(Item(name="audit"))
        s.commit()

    given = using(event, audit if db.asynchronous else audit_now, db.asynchronous)
    async with db.session(hooks=[given]) as s:
        await s.add(Plain(name="kept"))
        await s.commit()
        await s.add(Plain(name="lost"))
        await s.flush()
        await s.rollback()
    assert given.calls[0] == 1
    assert await db.rows("SELECT name FROM plain") == [("kept",)]
    assert await db.rows("SELECT name FROM item") == [("audit",)]


@pytest.mark.parametrize("event", ["after_commit", "after_rollback"])
async def test_what_a_handler_after_the_end_leaves_open_is_a_transaction_of_the_session(
    db: Database, parcels: None, event: str
) -> None:
    given = using(event, lambda s: s.execute("INSERT INTO item (name) VALUES ('open')"), db.asynchronous)
    async with db.session(hooks=[given]) as s:
        await s.add(Plain(name="kept"))
        await s.commit()
        if event == "after_rollback":
            await s.rollback()
        assert s.session.in_transaction
        await s.add(Plain(name="lost"))
        await s.flush()
        await s.rollback()
        await s.rollback() if event == "after_commit" else await s.commit()
    assert await db.rows("SELECT name FROM plain") == [("kept",)]


async def test_autocommit_commits_no_half_done_flush(db: Database, parcels: None) -> None:
    class Adds:
        def before_save(self, session: Any, instance: Any) -> None:
            if isinstance(instance, Plain):
                session.add(Item(name="beside"))

        def before_commit(self, session: Any) -> None:
            session.add(Item(name="at the commit"))

    async with db.session(hooks=[Adds()], autocommit=True) as s:
        await s.add(Plain(name="a"))
    assert await db.rows("SELECT name FROM item ORDER BY name") == [("at the commit",), ("beside",)]


# --- errors around statements


@pytest.mark.requirement("R98")
@pytest.mark.parametrize("event", ["before_execute", "after_execute"])
async def test_an_error_around_a_statement_undoes_the_flush(db: Database, parcels: None, event: str) -> None:
    def fails(self: Any, statement: str) -> None:
        if armed and statement.startswith("INSERT"):
            raise ValueError(event)

    armed = True
    async with db.session(hooks=[type("Fails", (), {event: fails})()]) as s:
        await s.add(Plain(name="a"))
        for _ in range(2):
            with pytest.raises(ValueError, match=event):
                await s.flush()
        assert [o.name for o in s.new] == ["a"]
        armed = False
        await s.commit()
    assert await db.rows("SELECT name FROM plain") == [("a",)]


async def test_handlers_that_always_fail_leave_no_transaction_open(db: Database, parcels: None) -> None:
    class Fails:
        def before_execute(self) -> None:
            raise ValueError("always")

        def after_execute(self) -> None:
            raise ValueError("always")

    async with db.session(hooks=[Fails()]) as s:
        await s.add(Plain(name="a"))
        for _ in range(2):
            with pytest.raises(ValueError, match="always"):
                await s.commit()
        await s.rollback()
        assert not s.session.in_transaction
    assert db.engine.pool_stats().in_use == 0


async def test_after_execute_is_told_what_failed(db: Database, parcels: None) -> None:
    told: list[Any] = []

    class Watch:
        def after_execute(self, statement: str, params: Any, duration: float, rows: Any, error: Any) -> None:
            assert duration >= 0
            told.append((statement.split()[0], list(params), rows, type(error).__name__))

    async with db.session(hooks=[Watch()]) as s:
        await s.execute("INSERT INTO plain (name) VALUES (?), (?)", ["a", "b"])
        with pytest.raises(blaze.BlazeError):
            await s.execute("INSERT INTO nowhere VALUES (?)", [1])
        await s.commit()
    assert told == [("INSERT", ["a", "b"], 2, "NoneType"), ("INSERT", [1], None, "SQLSyntaxError")]


def test_a_handler_of_a_blocking_session_that_returns_a_coroutine_is_refused(
    engine: Engine, parcels: None
) -> None:
    async def late() -> None: ...

    for event in ("before_execute", "before_commit"):
        given = type("Late", (), {event: lambda self: late()})()
        with Session(engine, hooks=[given]) as session:
            session.add(Plain(name="a"))
            with pytest.raises(ConfigurationError, match="returned something to await"):
                session.commit()
            session.rollback()


# --- no hook costs nothing


@pytest.mark.requirement("R28")
def test_no_function_of_the_hooks_is_called_without_hooks(engine: Engine, parcels: None) -> None:
    def work(session: Session) -> None:
        plain = Plain(name="a")
        session.add_all([plain, *[Item(name=str(n)) for n in range(20)]])
        session.commit()
        plain.name = "b"
        session.flush()
        session.expunge(plain)
        assert session.get_one(Plain, plain.id).name == "b"
        items = session.query(Item).include(Item.parcel).all()
        session.delete(items[0])
        session.bulk_insert([Item(name="bulk")])
        session.rollback()

    folder = os.path.dirname(hooks.__file__)
    called: list[str] = []

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(folder):
            called.append(frame.f_code.co_name)

    with Session(engine) as session:
        work(session)  # the first use of a model looks whether it has hooks
        sys.setprofile(note)
        try:
            work(session)
        finally:
            sys.setprofile(None)
    assert not called


def test_the_session_events_and_the_object_events_are_all_events() -> None:
    assert {*INSTANCE_EVENTS, *SESSION_EVENTS} == set(EVENTS)
    assert len(EVENTS) == 12
