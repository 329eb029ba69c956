"""Bulk operations on every kind of model, wholly or not at all, and beside a dictionary."""

from __future__ import annotations

import asyncio
from typing import Any, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blaze import (
    AsyncSession,
    Engine,
    Field,
    Model,
    ModelError,
    QueryError,
    Session,
    SessionError,
    StaleDataError,
    Unique,
    UniqueError,
    ValidationError,
    create_all,
    field,
)
from tests.persistence.models import (
    Account,
    Author,
    Award,
    Book,
    Course,
    Desk,
    Draft,
    Enrolment,
    Room,
    Setting,
    Student,
    Tag,
)  # fmt: skip
from tests.persistence.twins import Database, settled
from tests.support import loops


class Empty(Model):
    """Nothing but a generated key."""

    id: Field[int] = field(primary_key=True)


class Renamed(Model):
    key: Field[int] = field(primary_key=True, column="Id", init=True)
    label: Field[str] = field(column="Full Label")
    twice: Field[int] = field(generated='"Id" * 2', column="Twice")


class Stock(Model):
    """A table that a dictionary can stand for: `(shop, item) -> (count, note)`, with a key of its own."""

    id: Field[int] = field(primary_key=True)
    shop: Field[str]
    item: Field[int]
    count: Field[int] = field(default=0)
    note: Field[Optional[str]] = field(default=None)

    class Meta:
        constraints = [Unique("shop", "item")]


class Paper(Model):
    """A document beside a column that the database computes."""

    id: Field[int] = field(primary_key=True)
    data: Field[dict[str, Any]] = field(default_factory=dict)
    pages: Field[int] = field(default=0)
    size: Field[int] = field(generated="pages * 2")


class Overview(Model):
    id: Field[int] = field(primary_key=True)

    class Meta:
        view = True


OWN = [Empty, Paper, Renamed, Stock]


class Watch:
    """Notes statements, and whether any hook of an object was called."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def before_execute(self, statement: str) -> None:
        self.statements.append(statement)

    def before_save(self) -> None:
        raise AssertionError("bulk operations fire no hooks of objects")

    before_validate = after_save = before_delete = after_delete = before_save


@pytest.mark.requirement("R69", "R70", "R71")
async def test_every_kind_of_model(db: Database) -> None:
    create_all(db.engine, OWN)
    watch = Watch()
    async with db.session(hooks=[watch]) as s:
        rooms = [Room(house="h", number=n) for n in range(3)]
        students, courses = [Student(name="s")], [Course(name="c")]
        await s.bulk_insert([*rooms, *students, *courses], return_keys=True)
        await s.bulk_insert([Enrolment(student=students[0], course=courses[0], grade=1)])
        await s.bulk_insert([Desk(label="d", room=rooms[1])])
        await s.bulk_insert([Setting(name="plain"), Setting(name="given", value="x")])
        await s.bulk_insert([Book(title="b", meta={"a": [1]}, labels=["x"])])
        accounts = [Account(owner="a"), Account(owner="b", state="shut", balance=3)]
        await s.bulk_insert(accounts, return_keys=True)
        await s.bulk_insert([Empty() for _ in range(3)])
        empty = await s.bulk_insert([Empty(), Empty()], return_keys=True)
        assert empty.keys == [4, 5]
        await s.bulk_insert([Renamed(key=7, label="x")])
        await s.commit()
        assert await db.rows("SELECT * FROM enrolment") == [(1, 1, 1)]
        assert await db.rows("SELECT label, room_house, room_number FROM desk") == [("d", "h", 1)]
        assert await db.rows("SELECT name, value FROM setting ORDER BY name") == [
            ("given", "x"),
            ("plain", "unset"),
        ]
        assert await db.rows("SELECT owner, state, version FROM account") == [
            ("a", "open", 1),
            ("b", "shut", 1),
        ]
        assert await db.rows("SELECT * FROM renamed") == [(7, "x", 14)]

        for room in rooms:
            room.name = f"room {room.number}"
        assert await s.bulk_update(rooms, ["name"]) == 3
        assert await s.bulk_update([Renamed(key=7, label="y")]) == 1
        assert await s.bulk_update([Setting(name="plain", value="set")], [Setting.value]) == 1
        assert await s.bulk_update([Enrolment(student_id=1, course_id=1, grade=2)]) == 1
        assert await s.bulk_update([Empty(id=1)]) == 0, "there is nothing but the key"
        book = await s.get(Book, 1)
        book.meta["a"].append(2)
        assert await s.bulk_update([book], [Book.meta]) == 1
        assert s.dirty == []
        await s.commit()
        assert await db.rows("SELECT grade FROM enrolment") == [(2,)]
        assert await db.rows("SELECT * FROM renamed") == [(7, "y", 14)]
        assert (await db.rows("SELECT meta FROM book"))[0][0].replace(" ", "") == '{"a":[1,2]}'

        assert await s.bulk_delete(Enrolment, [(1, 1)]) == 1
        assert await s.bulk_delete(Setting, ["plain", "nowhere"]) == 1
        assert await s.bulk_delete(Empty, range(1, 6)) == 5
        again = await s.upsert(
            [Room(house="h", number=1, name="new"), Room(house="i", number=1)], [Room.house, "number"]
        )
        assert (again.inserted, again.updated) == ([("i", 1)], [("h", 1)])
        again = await s.upsert([Renamed(key=7, label="z"), Renamed(key=8, label="n")], ["key"])
        assert (again.inserted, again.updated) == ([8], [7])
        await s.commit()
    assert await db.rows("SELECT * FROM renamed ORDER BY 1") == [(7, "z", 14), (8, "n", 16)]


@pytest.mark.requirement("R71")
@pytest.mark.parametrize("limit", [None, 50])
async def test_statements_do_not_grow_with_the_rows_and_stay_within_the_bind_limit(
    db: Database, limit: Optional[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    create_all(db.engine, OWN)
    dialect = db.engine.async_dialect if db.asynchronous else db.engine.dialect
    if limit is not None:
        small = dialect.features._replace(max_bind_params=limit, array_param="expand")
        monkeypatch.setattr(dialect, "features", small)
    most = dialect.features.max_bind_params

    class Limits:
        def before_execute(self, statement: str, params: Any) -> None:
            rows = params if params and isinstance(params[0], tuple) else [params]
            assert max(map(len, rows)) <= most

    count = 1_000 if limit else 25_000
    async with db.session(hooks=[Limits()]) as s:
        stocks = [Stock(shop="a", item=n, note=None if n % 2 else "x") for n in range(count)]
        before = s.statements
        await s.bulk_insert(stocks)
        assert s.statements - before == -(-count // 5_000), "alternating NULLs share a batch"
        result = await s.upsert(
            (Stock(shop="a", item=n, count=1) for n in range(count - 10, count + 10)), ["shop", "item"]
        )
        assert (len(result.inserted), len(result.updated)) == (10, 10)
        found = await settled(s.session.query(Stock).all())
        for stock in found:
            stock.count = stock.item
        before = s.statements
        assert await s.bulk_update(found, [Stock.count]) == count + 10
        assert s.statements - before <= 6
        assert await s.bulk_delete(Stock, [stock.id for stock in found]) == count + 10
        await s.commit()


@pytest.mark.requirement("R69", "R70")
async def test_progress_is_told_and_an_error_in_it_takes_everything_back(db: Database) -> None:
    create_all(db.engine, OWN)
    told: list[Any] = []

    def tell(done: int, total: Optional[int]) -> None:
        told.append((done, total))
        if stop and done > 5_000:
            raise InterruptedError("enough")

    async def atell(done: int, total: Optional[int]) -> None:
        await asyncio.sleep(0)
        tell(done, total)

    progress = atell if db.asynchronous else tell
    objects = [Stock(shop="a", item=n) for n in range(12_000)]
    for earlier in (False, True):
        async with db.session() as s:
            stop = True
            if earlier:
                await s.add(Tag(name="kept"))
                await s.flush()
            with pytest.raises(InterruptedError):
                await s.bulk_insert(objects, progress=progress, return_keys=True)
            assert told == [(5_000, 12_000), (10_000, 12_000)]
            assert {stock.id for stock in objects} == {None}
            assert s.session.in_transaction is earlier
            assert await settled(s.session.query(Stock).count()) == 0
            stop = False
            await s.bulk_insert(objects, progress=progress, return_keys=True)
            await s.commit()
        async with db.session() as s:
            stop = True
            mine = await settled(s.session.query(Stock).all())
            for stock in mine:
                stock.count = 9
            with pytest.raises(InterruptedError):
                await s.bulk_update(mine, ["count"], progress=progress)
            assert len(s.dirty) == 12_000, "the changes are pending still"
            await s.rollback()
            with pytest.raises(InterruptedError):
                await s.bulk_delete(Stock, [stock.id for stock in mine], progress=progress)
            assert await s.get(Stock, mine[0].id) is mine[0]
            with pytest.raises(InterruptedError):
                await s.upsert(
                    [Stock(shop="b", item=n) for n in range(12_000)], ["shop", "item"], progress=progress
                )
            assert await settled(s.session.query(Stock).count()) == 12_000
            stop = False
            assert await s.bulk_delete(Stock, (stock.id for stock in mine), progress=progress) == 12_000
            assert told[-1] == (12_000, None)
            await s.commit()
        told.clear()
        for stock in objects:
            stock.id = None  # type: ignore[assignment]
    assert await db.rows("SELECT name FROM tag") == [("kept",)]


async def test_a_failing_bulk_operation_leaves_what_came_before(db: Database) -> None:
    async with db.session() as s:
        await s.add(Tag(name="flushed"))
        await s.flush()
        await s.add(Author(name="pending", email="p@x"))
        accounts = [Account(owner="a"), Account(owner="b"), Account(owner="a")]
        with pytest.raises(UniqueError):
            await s.bulk_insert(accounts)
        assert [account.id for account in accounts] == [None] * 3
        with pytest.raises(ValidationError, match="owner"):
            await s.bulk_insert([Account(owner="a"), Account(owner=5)])  # type: ignore[arg-type]
        await s.bulk_insert(accounts[:2], return_keys=True)
        await s.commit()
    assert await db.rows("SELECT owner FROM account") == [("a",), ("b",)]
    assert await db.rows("SELECT count(*) FROM tag, author") == [(1,)]


async def test_a_rollback_takes_generated_keys_off_again(db: Database) -> None:
    async with db.session() as s:
        account = Account(owner="a")
        account.version = None  # type: ignore[assignment]
        await s.bulk_insert([account], return_keys=True)
        assert (account.id, account.version) == (1, 1)
        await s.rollback()
        assert (account.id, account.version) == (None, None)
        await s.upsert([account], ["owner"])
        assert account.id == 1
        await s.rollback()
        assert account.id is None


@pytest.mark.requirement("R70")
async def test_rows_that_a_trigger_leaves_out(db: Database) -> None:
    def tags() -> list[Tag]:
        return [Tag(name=name) for name in ("a", "skip", "b")]

    async with db.session() as s:
        await s.execute(
            "CREATE TRIGGER leave_out BEFORE INSERT ON tag WHEN NEW.name = 'skip'"
            " BEGIN SELECT RAISE(IGNORE); END"
        )
        assert await s.bulk_insert(tags()) == 2
        given, refusal = tags(), "3 Tag objects returned 2 keys: a trigger"
        with pytest.raises(SessionError, match=refusal):
            await s.bulk_insert(given, return_keys=True)
        with pytest.raises(SessionError, match=refusal):
            await s.upsert(given, conflict=["id"])
        await s.add_all(given)
        with pytest.raises(SessionError, match=refusal):
            await s.flush()
        assert [tag.id for tag in given] == [None] * 3
        await s.rollback()


async def test_a_version_column_guards_bulk_updates(db: Database) -> None:
    await db.save(*[Account(owner=str(n)) for n in range(3)])
    async with db.session() as s, db.session() as other:
        mine = await s.all(Account)
        for account in mine:
            account.balance = 5
        assert await s.bulk_update(mine, ["balance"]) == 3
        assert [(a.version, a.changes) for a in mine] == [(2, 99)] * 3, "on_update sets its column, too"
        assert s.dirty == []
        await s.commit()
        mine[0].balance = 6
        await s.commit()
        theirs = await other.all(Account)
        mine[1].balance = 7
        await s.commit()
        for account in theirs:
            account.balance = 8
        with pytest.raises(StaleDataError, match="Account"):
            await other.bulk_update(theirs, ["balance"])
        assert [(a.balance, a.version) for a in theirs] == [(8, 3), (8, 2), (8, 2)]
        assert len(other.dirty) == 3
        await other.rollback()
    assert await db.rows("SELECT balance, version, changes FROM account ORDER BY id") == [
        (6, 3, 99), (7, 3, 99), (5, 2, 99),
    ]  # fmt: skip


async def test_an_upsert_counts_the_version_on(db: Database) -> None:
    await db.save(Account(owner="a"))
    async with db.session() as s, db.session() as other:
        held = await other.get(Account, 1)
        for balance in (5, 6):
            result = await s.upsert([Account(owner="a", balance=balance)], ["owner"], [Account.balance])
            assert (result.inserted, result.updated) == ([], [1])
        await s.upsert([Account(owner="a", balance=9)], ["owner"], [])
        await s.commit()
        held.balance = 7
        with pytest.raises(StaleDataError):
            await other.flush()
        await other.rollback()
    assert await db.rows("SELECT owner, balance, version, changes, state FROM account") == [
        ("a", 6, 3, 99, "open")
    ]


async def test_objects_that_leave_different_columns_to_the_database(db: Database) -> None:
    async with db.session() as s:
        result = await s.upsert(
            [Setting(name="a"), Setting(name="b", value="x"), Setting(name="c")], ["name"]
        )
        assert sorted(result.inserted) == ["a", "b", "c"]
        with pytest.raises(QueryError, match="leaves that to the database"):
            await s.upsert([Setting(name="a")], ["name"], ["value"])
        await s.commit()
    assert await db.rows("SELECT name, value FROM setting ORDER BY name") == [
        ("a", "unset"),
        ("b", "x"),
        ("c", "unset"),
    ]


async def test_loaded_objects_after_a_bulk_operation(db: Database) -> None:
    await db.save(Author(name="a", email="a@x"), Author(name="b", email="b@x"), Author(name="c"))
    async with db.session() as s:
        a, b, c = await s.all(Author)
        await s.upsert([Author(name="A", email="a@x")], ["email"])
        await s.bulk_update([Author(id=2, name="B", email="b@x")])
        await s.bulk_delete(Author, [3])
        assert (await s.get(Author, 1)).name == "A"
        assert (await s.get(Author, 2)).name == "B"
        assert await s.get(Author, 3) is None
        await s.rollback()
        assert [await s.get(Author, n) for n in (1, 2, 3)] == [a, b, c]
        assert (a.name, b.name) == ("a", "b")


@pytest.mark.parametrize("inner", [False, True], ids=["rollback", "savepoint"])
async def test_a_rollback_takes_back_the_documents_that_a_bulk_update_wrote(
    db: Database, inner: bool
) -> None:
    await db.save(Book(title="inside", meta={"n": 1}), Book(title="given", labels=["x"]), Book(title="none"))
    async with db.session() as s:
        inside, given, none = books = await s.all(Book)

        async def change() -> None:
            inside.meta["n"] = 2
            given.labels = None
            none.labels, none.rating = ["y"], 5
            assert await s.bulk_update(books, ["meta", "labels", "rating"]) == 3
            assert s.dirty == []

        async def fail() -> None:
            async with s.transaction():
                await change()
                raise ZeroDivisionError

        if inner:
            async with s.transaction():
                with pytest.raises(ZeroDivisionError):
                    await fail()
        else:
            await change()
            await s.rollback()
        assert (inside.meta, given.labels, none.labels, none.rating) == ({"n": 1}, ["x"], None, 0)
        assert s.dirty == []
        for book in books:
            book.meta["later"] = True
        await s.commit()
    assert await db.rows("SELECT meta, labels, rating FROM book ORDER BY id") == [
        ('{"n":1,"later":true}', None, 0),
        ('{"later":true}', '["x"]', 0),
        ('{"later":true}', None, 0),
    ]


async def test_documents_beside_computed_columns_after_a_bulk_update(db: Database) -> None:
    create_all(db.engine, [Paper])
    await db.save(Paper(), Paper())
    async with db.session() as s:
        first, second = await s.all(Paper)
        held = first.data
        first.pages = second.pages = 5
        await s.bulk_update([first, second])
        assert (first.size, second.size) == (10, 10)
        held["n"] = 1  # still the object's own
        assert s.dirty == [first]
        await s.rollback()
        assert (first.data, first.size) == ({}, 0)
        first.data["n"] = 2
        assert await settled(s.query(Paper).where(Paper.id == second.id).update(data={"n": 3})) == 1
        assert second.data == {"n": 3}
        await s.rollback()
        first.data["n"] = second.data["n"] = 4
        await s.commit()
    assert await db.rows("SELECT data, pages, size FROM paper") == [('{"n":4}', 0, 0)] * 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.upsert([Author(name="a")], ["name"]), QueryError, "not unique together"),
        (lambda s: s.upsert([Author(name="a")], "email"), QueryError, "a list of conflict columns"),
        (lambda s: s.bulk_update([Author(id=1, name="a")], "name"), QueryError, "a list of fields"),
        (lambda s: s.upsert([Author(name="a")], ["emial"]), QueryError, "email"),
        (
            lambda s: s.upsert([Tag(id=1, name="a"), Tag(id=1, name="b")], ["id"]),
            QueryError,
            "same conflict values",
        ),
        (lambda s: s.bulk_update([Renamed(key=1, label="x")], ["twice"]), QueryError, "generated"),
        (lambda s: s.bulk_insert(["a"]), ModelError, "instances of models"),
        (lambda s: s.bulk_insert([Overview(id=1)]), ModelError, "read-only"),
        (lambda s: s.bulk_delete(Overview, [1]), ModelError, "read-only"),
        (lambda s: s.bulk_delete(Room, [1]), QueryError, "tuple"),
        (lambda s: s.bulk_delete(Tag, ["x"]), QueryError, "does not fit"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_sent(
    db: Database, call: Any, error: Any, message: str
) -> None:
    async with db.session() as s:
        before = s.statements
        with pytest.raises(error, match=message):
            await settled(call(s.session))
        assert s.statements == before
        assert not s.session.in_transaction


# --- against a dictionary

KEYS = st.tuples(st.sampled_from("abc"), st.integers(0, 4))
ROWS = st.dictionaries(KEYS, st.tuples(st.integers(-9, 9), st.none() | st.sampled_from("xyz")), max_size=8)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), ROWS),
        st.tuples(st.just("update"), ROWS),
        st.tuples(st.just("delete"), st.sets(KEYS, max_size=6)),
        st.tuples(st.sampled_from(["upsert", "upsert count", "upsert nothing"]), ROWS),
        st.tuples(st.sampled_from(["commit", "rollback"]), st.none()),
    ),
    max_size=12,
)


async def follow(s: Any, wait: Any, steps: list[Any]) -> None:
    world: dict[Any, Any] = {}
    saved: dict[Any, Any] = {}
    for step, rows in steps:
        objects = (
            [Stock(shop=k[0], item=k[1], count=v[0], note=v[1]) for k, v in rows.items()]
            if isinstance(rows, dict)
            else []
        )
        ids = {(x.shop, x.item): x.id for x in await wait(s.query(Stock).all())}
        if step == "insert":
            if world.keys() & rows.keys():
                try:
                    await wait(s.bulk_insert(objects, return_keys=True))
                except UniqueError:
                    assert {x.id for x in objects} == {None}
                else:
                    raise AssertionError("a key was inserted twice")
            else:
                result = await wait(s.bulk_insert(objects, return_keys=True))
                assert result == len(rows)
                assert result.keys == [x.id for x in objects]
                world.update(rows)
        elif step == "update":
            for x in objects:
                x.id = ids.get((x.shop, x.item), 10_000)
            assert await wait(s.bulk_update(objects)) == len(world.keys() & rows.keys())
            world.update({k: v for k, v in rows.items() if k in world})
        elif step == "delete":
            wanted = [ids.get(k, 10_000) for k in rows]
            assert await wait(s.bulk_delete(Stock, wanted)) == len(world.keys() & rows)
            world = {k: v for k, v in world.items() if k not in rows}
        elif step.startswith("upsert"):
            update: Any = {"upsert": None, "upsert count": ["count"], "upsert nothing": []}[step]
            result = await wait(s.upsert(objects, [Stock.shop, "item"], update))
            known = [ids[k] for k in rows if k in world]
            assert result.updated == ([] if update == [] else known)
            new = {k: x.id for k, x in zip(rows, objects) if k not in world}
            assert sorted(result.inserted) == sorted(new.values())
            for k, v in rows.items():
                old = world.get(k)
                world[k] = v if old is None or update is None else old if not update else (v[0], old[1])
        elif step == "commit":
            await wait(s.commit())
            saved = dict(world)
        else:
            await wait(s.rollback())
            world = dict(saved)
        found = await wait(s.execute("SELECT shop, item, count, note FROM stock"))
        assert {(a, b): (c, d) for a, b, c, d in found.all()} == world
        assert {(x.shop, x.item): (x.count, x.note) for x in await wait(s.query(Stock).all())} == world


@pytest.mark.requirement("R69", "R70")
@pytest.mark.parametrize("kind", ["sync", "async"])
@settings(max_examples=60)
@given(steps=STEPS)
def test_bulk_operations_do_what_a_dictionary_does(kind: str, steps: list[Any]) -> None:
    async def run() -> None:
        engine = Engine("sqlite://")
        if kind == "sync":
            create_all(engine, [Stock])
            with Session(engine) as session:
                await follow(session, settled, steps)
                session.rollback()
            engine.dispose()
        else:
            async with AsyncSession(engine) as session:
                await session.create_all(Stock)
                await session.commit()
                await follow(session, settled, steps)
                await session.rollback()
            await engine.adispose()

    loops.run(run())


def test_awards_have_an_implicit_key(blocking: Database) -> None:
    with Session(blocking.engine) as session:
        awards = [Award(name="x"), Award(name="y")]
        assert session.bulk_insert(awards, return_keys=True).keys == [1, 2]
        assert session.bulk_update([Award(id=1, name="z")]) == 1
        session.rollback()


@pytest.mark.requirement("R69", "R70")
async def test_none_is_a_value_and_nothing_given_is_left_to_the_database(db: Database) -> None:
    async with db.session() as s:
        await s.add(Draft(note=None))
        await s.flush()
        await s.bulk_insert([Draft(note=None), Draft()])
        await s.upsert([Draft(id=8, note=None), Draft(id=9)], [Draft.id])
        await s.bulk_update([Draft(id=9, title="kept"), Draft(id=8, note="now")])
        await s.commit()
    assert await db.rows("SELECT id, note, title FROM draft ORDER BY id") == [
        (1, None, ""), (2, None, ""), (3, "none yet", ""), (8, "now", ""), (9, "none yet", "kept"),
    ]  # fmt: skip


@pytest.mark.requirement("R69", "R70")
@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
@pytest.mark.parametrize("earlier", [False, True])
async def test_progress_cannot_end_the_transaction(db: Database, end: str, earlier: bool) -> None:
    create_all(db.engine, OWN)

    async with db.session() as s:
        if earlier:
            await s.add(Tag(name="kept"))
            await s.flush()

        async def atell(done: int, total: Optional[int]) -> None:
            await getattr(s, end)()

        def tell(done: int, total: Optional[int]) -> None:
            getattr(s.session, end)()

        with pytest.raises(SessionError, match=f"{end}.. inside progress= of a bulk operation"):
            await s.bulk_insert([Stock(shop="a", item=1)], progress=atell if db.asynchronous else tell)
        assert s.session.in_transaction is earlier
        await s.bulk_insert([Stock(shop="a", item=2)])
        await s.commit()
    assert await db.rows("SELECT item FROM stock") == [(2,)]
    assert len(await db.rows("SELECT * FROM tag")) == earlier


@pytest.mark.requirement("R70")
async def test_an_object_given_twice_keeps_its_version_when_that_fails(db: Database) -> None:
    await db.save(Account(id=1, owner="Ada"))
    async with db.session() as s:
        account = await s.get(Account, 1)
        account.balance = 5
        with pytest.raises(StaleDataError):
            await s.bulk_update([account, account])
        assert (account.version, account.changes) == (1, 0)
        await s.bulk_update([account])
        await s.commit()
        assert (account.version, account.changes) == (2, 99)


@pytest.mark.requirement("R71")
async def test_an_upsert_of_nothing_but_the_version_is_refused(db: Database) -> None:
    async with db.session() as s:
        with pytest.raises(QueryError, match=r"names Account\.version alone, which is counted by itself"):
            await s.upsert([Account(owner="Ada", version=7)], ["owner"], [Account.version])
