"""Bulk operations and upserts: few statements, exact counts, keys in order."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import Insert, QueryError, Select, SessionError, StaleDataError, UniqueError, excluded
from blaze.testing.suite.harness import Database, done, scenario
from blaze.testing.suite.models import Account, Car, Dog, Label, Person, Post, Room, Seat, Setting, Vehicle

__all__ = [
    "test_a_conflict_with_another_key_is_an_error",
    "test_a_conflict_with_the_named_key_beside_others",
    "test_a_failed_bulk_operation_takes_itself_back",
    "test_bulk_delete",
    "test_bulk_delete_of_composite_keys",
    "test_bulk_insert_gives_keys_in_order",
    "test_bulk_insert_of_hierarchies",
    "test_bulk_insert_of_many",
    "test_bulk_insert_of_several_models",
    "test_bulk_insert_with_server_defaults",
    "test_bulk_update_of_many",
    "test_bulk_update_of_missing_rows",
    "test_bulk_update_with_versions",
    "test_null_conflicts_with_nothing",
    "test_upsert_by_key",
    "test_upsert_by_several_columns",
    "test_upsert_of_many",
    "test_upsert_tells_inserted_from_updated",
    "test_upserts_that_cannot_be",
    "test_wrong_fields_are_refused",
]


@scenario
async def test_bulk_insert_of_many(db: Database) -> None:
    async with db.session() as s:
        seen: list[int] = []
        count = await s.bulk_insert(
            (Label(name=f"l{n}") for n in range(12_000)), progress=lambda now, total: seen.append(now)
        )
        assert count == 12_000
        assert seen[-1] == 12_000
        assert s.statements < 40
        await s.commit()
        assert await done(s.query(Label).count()) == 12_000
        assert await s.bulk_insert([]) == 0


@scenario
async def test_bulk_insert_gives_keys_in_order(db: Database) -> None:
    async with db.session() as s:
        labels = [Label(name=f"l{n}") for n in range(1_203)]
        result = await s.bulk_insert(labels, return_keys=True)
        assert result.keys == [label.id for label in labels]
        rows = await done(s.query(Label.id, Label.name).all())
        assert dict(rows) == {label.id: label.name for label in labels}
        await s.rollback()


@scenario
async def test_bulk_insert_of_several_models(db: Database) -> None:
    async with db.session() as s:
        mixed = [x for n in range(10) for x in (Label(name=f"l{n}"), Person(name=f"p{n}"))]
        result = await s.bulk_insert(mixed, return_keys=True)
        assert result.keys == [each.id for each in mixed]
        assert await done(s.query(Person).count()) == 10
        await s.rollback()


@scenario
async def test_bulk_insert_of_hierarchies(db: Database) -> None:
    async with db.session() as s:
        await s.bulk_insert([Dog(name=f"d{n}") for n in range(3)])
        await s.bulk_insert([Car(name=f"c{n}", doors=n) for n in range(3)])
        await s.commit()
        assert await done(s.query(Dog).count()) == 3
        assert sorted(car.doors for car in await s.all(Car)) == [0, 1, 2]
        assert await done(s.query(Vehicle).count()) == 3


@scenario
async def test_bulk_insert_with_server_defaults(db: Database) -> None:
    async with db.session() as s:
        await s.bulk_insert([Setting(name="a"), Setting(name="b", value="v"), Setting(name="c")])
        rows = await done(s.query(Setting.name, Setting.value).order_by("name").all())
        assert rows == [("a", "unset"), ("b", "v"), ("c", "unset")]
        await s.rollback()


@scenario
async def test_bulk_update_of_many(db: Database) -> None:
    async with db.session() as s:
        posts = [Post(title=f"t{n}", rating=n) for n in range(2_000)]
        await s.bulk_insert(posts, return_keys=True)
        for post in posts:
            post.rating += 1
            post.meta = {"n": post.rating}
        assert await s.bulk_update(posts, ["rating", Post.meta]) == 2_000
        await s.commit()
    async with db.session() as s:
        found = await s.all(Post)
        assert [post.rating for post in found] == list(range(1, 2_001))
        assert all(post.meta == {"n": post.rating} for post in found)
        assert await s.bulk_update(found) == 2_000  # nothing differs: rows met count


@scenario
async def test_bulk_update_of_missing_rows(db: Database) -> None:
    await db.save(Label(name="a"))
    (key,) = [row.id for row in await db.rows(Select(Label.id))]
    async with db.session() as s:
        ours, theirs = Label(name="new"), Label(name="none")
        ours.id, theirs.id = key, key + 10_000
        assert await s.bulk_update([ours, theirs]) == 1
        await s.commit()
    assert await db.rows(Select(Label.name)) == [("new",)]


@scenario
async def test_bulk_update_with_versions(db: Database) -> None:
    await db.save(Account(owner="a"), Account(owner="b"))
    async with db.session() as s:
        accounts = await s.all(Account)
        for account in accounts:
            account.balance = 5
        assert await s.bulk_update(accounts, ["balance"]) == 2
        assert [account.version for account in accounts] == [2, 2]
        await s.commit()
        async with db.session() as other:
            await done(other.query(Account).where(Account.owner == "b").update(balance=7))
            await other.commit()
        for account in accounts:
            account.balance = 6
        with pytest.raises(StaleDataError):
            await s.bulk_update(accounts, ["balance"])
        await s.rollback()
    assert await db.rows(Select(Account.balance).order_by(Account.owner)) == [(5,), (7,)]


@scenario
async def test_wrong_fields_are_refused(db: Database) -> None:
    await db.save(Post(title="t"))
    async with db.session() as s:
        (post,) = await s.all(Post)
        for fields in (["id"], ["titel"], ["labels"], [Person.name]):
            with pytest.raises(QueryError):
                await s.bulk_update([post], fields)
        with pytest.raises(SessionError):
            await s.bulk_update([Label(name="new")])


@scenario
async def test_bulk_delete(db: Database) -> None:
    async with db.session() as s:
        labels = [Label(name=f"l{n}") for n in range(5_000)]
        result = await s.bulk_insert(labels, return_keys=True)
        before = s.statements
        assert await s.bulk_delete(Label, result.keys[:4_000]) == 4_000
        assert s.statements - before <= 10
        assert await s.bulk_delete(Label, [*result.keys[:2], *result.keys[4_000:]]) == 1_000
        assert await s.bulk_delete(Label, []) == 0
        assert await done(s.query(Label).count()) == 0


@scenario
async def test_bulk_delete_of_composite_keys(db: Database) -> None:
    async with db.session() as s:
        await s.bulk_insert([Room(house=h, number=n) for h in "AB" for n in range(3)])
        assert await s.bulk_delete(Room, [("A", 1), ("B", 2), ("Z", 9)]) == 2
        assert await done(s.query(Room).count()) == 4
        await s.rollback()


@scenario
async def test_a_failed_bulk_operation_takes_itself_back(db: Database) -> None:
    async with db.session() as s:
        before = Label(name="before")
        await s.add(before)
        await s.flush()
        with pytest.raises(UniqueError):
            await s.bulk_insert([*[Label(name=f"l{n}") for n in range(6_000)], Label(name="before")])
        if db.has("savepoints"):
            assert [label.name for label in await s.all(Label)] == ["before"]
            await s.commit()
            assert await db.rows(Select(Label.name)) == [("before",)]
        else:
            await s.rollback()


@scenario
async def test_upsert_tells_inserted_from_updated(db: Database) -> None:
    db.needs("on_conflict")
    await db.save(Person(name="a", email="a"), Person(name="b", email="b"))
    async with db.session() as s:
        known = await s.all(Person)
        people = [Person(name="A", email="a"), Person(name="N", email="n"), Person(name="B", email="b")]
        result = await s.upsert(people, conflict=[Person.email], update=[Person.name])
        assert result.updated == [known[0].id, known[1].id]
        assert len(result.inserted) == 1
        assert [person.id for person in people] == [known[0].id, result.inserted[0], known[1].id]
        await s.commit()
    assert sorted(await db.rows(Select(Person.name))) == [("A",), ("B",), ("N",)]


@scenario
async def test_upsert_of_many(db: Database) -> None:
    db.needs("on_conflict")
    async with db.session() as s:
        result = await s.upsert([Label(name=f"l{n}") for n in range(3_000)], conflict=["name"])
        assert (len(result.inserted), result.updated) == (3_000, [])
        again = await s.upsert([Label(name=f"l{n}") for n in range(3_001)], conflict=["name"], update=[])
        assert (len(again.inserted), again.updated) == (1, [])
        assert await done(s.query(Label).count()) == 3_001


@scenario
async def test_upsert_by_key(db: Database) -> None:
    db.needs("on_conflict")
    async with db.session() as s:
        settings = [Setting(name="a", value="1"), Setting(name="b", value="2")]
        assert len((await s.upsert(settings[:1], conflict=["name"])).inserted) == 1
        result = await s.upsert([Setting(name="a", value="3"), settings[1]], conflict=["name"])
        assert (result.inserted, result.updated) == (["b"], ["a"])
        await s.commit()
    assert await db.rows(Select(Setting.name, Setting.value).order_by(Setting.name)) == [
        ("a", "3"),
        ("b", "2"),
    ]


@scenario
async def test_upsert_by_several_columns(db: Database) -> None:
    db.needs("on_conflict")
    async with db.session() as s:
        await s.upsert([Room(house="A", number=1, name="x")], conflict=["house", "number"])
        result = await s.upsert(
            [Room(house="A", number=1, name="y"), Room(house="A", number=2)], conflict=["house", "number"]
        )
        assert (result.inserted, result.updated) == ([("A", 2)], [("A", 1)])
        await s.commit()
    assert sorted(await db.rows(Select(Room.number, Room.name))) == [(1, "y"), (2, "")]


@scenario
async def test_null_conflicts_with_nothing(db: Database) -> None:
    db.needs("on_conflict")
    await db.save(Person(name="a"))
    async with db.session() as s:
        people = [Person(name="a"), Person(name="b"), Person(name="c", email="c")]
        result = await s.upsert(people, conflict=[Person.email])
        assert (len(result.inserted), result.updated) == (3, [])
        assert await done(s.query(Person).count()) == 4


@scenario
async def test_a_conflict_with_another_key_is_an_error(db: Database) -> None:
    db.needs("on_conflict")
    await db.save(
        Seat(number=1, name="a"), Seat(number=2, name="b"), Seat(number=3, name="c", row=1, place=1)
    )
    attempts: dict[str, tuple[Any, tuple[str, ...]]] = {}
    for name, values, columns in (
        ("unique", {"name": "b"}, ("name",)),
        ("several", {"name": "n", "row": 1, "place": 1}, ("row", "place")),
    ):
        one = Insert(Seat).values(number=9, note="new", **values)
        many = one.values(number=8, name="m", note="new")
        update: dict[str, Any] = {"note": excluded("note")}
        attempts |= {
            f"{name}, update": (
                lambda s, i=one, u=update: s.exec(i.on_conflict("number", update=u)),
                columns,
            ),
            f"{name}, nothing": (lambda s, i=one: s.exec(i.on_conflict("number", do="nothing")), columns),
            f"{name}, many": (lambda s, i=many, u=update: s.exec(i.on_conflict("number", update=u)), columns),
            f"{name}, many, nothing": (
                lambda s, i=many: s.exec(i.on_conflict("number", do="nothing")),
                columns,
            ),
            f"{name}, upsert": (
                lambda s, v=values: s.upsert(
                    [Seat(number=1, name="a"), Seat(number=9, **v)], conflict=["number"], update=["note"]
                ),
                columns,
            ),
            f"{name}, upsert of nothing": (
                lambda s, v=values: s.upsert([Seat(number=9, **v)], conflict=["number"], update=[]),
                columns,
            ),
        }
    attempts["the key"] = (
        lambda s: s.upsert([Seat(number=1, name="n")], conflict=["name"], update=["note"]),
        ("number",),
    )
    rows = [(1, "a", ""), (2, "b", ""), (3, "c", "")]
    for name, (attempt, columns) in attempts.items():
        async with db.session() as s:
            with pytest.raises(UniqueError) as raised:
                await attempt(s)
            assert raised.value.columns == columns, name
            await s.rollback()
        assert await db.rows(Select(Seat.number, Seat.name, Seat.note).order_by(Seat.number)) == rows, name


@scenario
async def test_a_conflict_with_the_named_key_beside_others(db: Database) -> None:
    db.needs("on_conflict")
    await db.save(Seat(number=1, name="a"), Seat(number=2, name="b", row=1, place=1))
    async with db.session() as s:
        insert = Insert(Seat).values([{"number": 1, "name": "x", "note": "n"}, {"number": 3, "name": "c"}])
        await s.exec(insert.on_conflict("number", do="nothing"))
        await s.exec(insert.on_conflict("number", update={"note": excluded("note")}))
        seats = [Seat(number=n, name=f"s{n}") for n in range(2, 1_200)]
        result = await s.upsert(seats, conflict=["number"], update=["name"])
        assert (len(result.inserted), result.updated) == (1_196, [2, 3])
        result = await s.upsert([Seat(number=1, name="a", row=2, place=2)], conflict=["name"], update=["row"])
        assert result.updated == [1]
        await s.commit()
    some = Select(Seat.number, Seat.name, Seat.note, Seat.row).where(Seat.number < 5).order_by(Seat.number)
    assert await db.rows(some) == [
        (1, "a", "n", 2),
        (2, "s2", "", 1),
        (3, "s3", "", None),
        (4, "s4", "", None),
    ]


@scenario
async def test_upserts_that_cannot_be(db: Database) -> None:
    db.needs("on_conflict")
    async with db.session() as s:
        for attempt in (
            lambda: s.upsert([Label(name="a"), Label(name="a")], conflict=["name"]),
            lambda: s.upsert([Person(name="a")], conflict=["name"]),
            lambda: s.upsert([Label(name="a")], conflict=["nmae"]),
            lambda: s.upsert([Label(name="a")], conflict=[]),
        ):
            with pytest.raises(QueryError):
                await attempt()
        assert s.statements == 0
