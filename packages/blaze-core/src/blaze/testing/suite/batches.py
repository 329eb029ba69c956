"""Many rows written at once: few statements, exact counts, unique values that change hands."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import StaleDataError
from blaze.testing.suite.harness import Database, done, scenario
from blaze.testing.suite.models import Account, Label, Node, Person, Post, Room, Share, Ticket

__all__ = [
    "test_a_batch_meets_a_row_that_is_gone",
    "test_a_batch_of_versions_meets_a_changed_row",
    "test_a_row_twice_in_a_bulk_update",
    "test_any_number_of_rows_costs_the_same",
    "test_bulk_update_passes_unique_values_on",
    "test_composite_keys_in_batches",
    "test_names_move_up_by_one",
    "test_names_swap_in_pairs",
    "test_null_beside_values_in_a_batch",
    "test_percent_signs_in_names",
    "test_rows_of_generated_keys_alone",
    "test_trees_are_deleted_leaves_first",
]


async def written(s: Any) -> int:
    """Flush, and tell how many statements that took."""
    before = s.statements
    await s.flush()
    return int(s.statements - before)


async def objects(db: Database, model: Any) -> list[Any]:
    """Give what has been committed."""
    async with db.session() as s:
        return await s.all(model)


@scenario
async def test_any_number_of_rows_costs_the_same(db: Database) -> None:
    costs = []
    many = min(400, db.dialect.features.max_bind_params // 6)  # posts have six columns
    for size in (2, many):
        async with db.session() as s:
            label = Label(name="l")
            people = [Person(name=f"p{n}", email=f"{n}@x") for n in range(size)]
            posts = [Post(title=f"t{n}", meta={"n": n}, author=p) for n, p in enumerate(people)]
            await s.add_all([label, *posts])
            cost = [await written(s)]
            for n, post in enumerate(posts):
                post.rating, post.meta = n, {"m": n}
            cost.append(await written(s))
            for post in posts:
                post.labels.add(label)
            cost.append(await written(s))
            for post in posts:
                post.labels.remove(label)
            cost.append(await written(s))
            for post in posts:
                await s.delete(post)
            cost.append(await written(s))
            costs.append(cost)
            await s.rollback()
    if not db.has("returning") and not db.has("consecutive_keys"):  # each new key costs a statement
        costs = [cost[1:] for cost in costs]
    assert costs[0] == costs[1], f"writing {many} rows takes more statements than writing 2"


@scenario
async def test_rows_of_generated_keys_alone(db: Database) -> None:
    db.needs("insert_default_values")
    told = db.has("returning") or db.has("consecutive_keys")
    async with db.session() as s:
        tickets = [Ticket() for _ in range(30)]
        await s.add_all(tickets)
        costs = [await written(s)]
        before = s.statements
        more = [Ticket() for _ in range(30)]
        keys = (await s.bulk_insert(more, return_keys=True)).keys
        costs.append(s.statements - before)
        if db.dialect.features.default_key and told:
            assert costs == [1, 1]
        assert keys == [ticket.id for ticket in more]
        numbers = [ticket.id for ticket in (*tickets, *more)]
        assert numbers == sorted(set(numbers))
        await s.commit()
    assert sorted(ticket.id for ticket in await objects(db, Ticket)) == numbers


@scenario
async def test_null_beside_values_in_a_batch(db: Database) -> None:
    async with db.session() as s:
        people = [Person(name=f"p{n}", email=f"{n}@x" if n % 3 else None) for n in range(30)]
        await s.add_all(people)
        await s.flush()
        for n, person in enumerate(people):
            person.email = None if n % 2 else f"new{n}@x"
        await s.commit()
    rows = [person.email for person in await objects(db, Person)]
    assert rows == [None if n % 2 else f"new{n}@x" for n in range(30)]


@scenario
async def test_composite_keys_in_batches(db: Database) -> None:
    async with db.session() as s:
        rooms = [Room(house=house, number=n) for house in ("a", "it's", "Ä") for n in range(20)]
        await s.add_all(rooms)
        await s.flush()
        for room in rooms:
            room.name = f"{room.house}{room.number}"
        await s.commit()
        for room in rooms[::2]:
            await s.delete(room)
        await s.commit()
    left = {(room.house, room.number, room.name) for room in await objects(db, Room)}
    assert left == {(h, n, f"{h}{n}") for h in ("a", "it's", "Ä") for n in range(1, 20, 2)}


@scenario
async def test_a_batch_meets_a_row_that_is_gone(db: Database) -> None:
    await db.save(*[Label(name=f"l{n}") for n in range(20)])
    for write in ("update", "delete"):
        async with db.session() as s:
            labels = await s.all(Label)
            gone = labels[7]
            async with db.session() as other:
                await done(other.query(Label).where(Label.id == gone.id).delete())
                await other.commit()
            for label in labels:
                if write == "update":
                    label.name = f"{write} {label.name}"
                else:
                    await s.delete(label)
            with pytest.raises(StaleDataError):
                await s.flush()
            await s.rollback()
        async with db.session() as s:
            assert not [label for label in await s.all(Label) if label.name.startswith("update")]


@scenario
async def test_a_batch_of_versions_meets_a_changed_row(db: Database) -> None:
    await db.save(*[Account(owner=f"o{n}") for n in range(20)])
    async with db.session() as s:
        accounts = await s.all(Account)
        async with db.session() as other:
            await done(other.query(Account).where(Account.owner == "o7").update(balance=7))
            await other.commit()
        for account in accounts:
            account.balance = 1
        with pytest.raises(StaleDataError):
            await s.flush()
        await s.rollback()
    assert sorted(a.balance for a in await objects(db, Account)) == [0] * 19 + [7]


@scenario
async def test_names_move_up_by_one(db: Database) -> None:
    """Each row takes the unique value that the next one gives up."""
    await db.save(*[Account(owner=f"o{n}") for n in range(12)])
    async with db.session() as s:
        accounts = await s.all(Account)
        for account in accounts:
            account.owner = f"o{int(account.owner[1:]) + 1}"
        await s.commit()
    assert [a.owner for a in await objects(db, Account)] == [f"o{n}" for n in range(1, 13)]


@scenario
async def test_names_swap_in_pairs(db: Database) -> None:
    await db.save(*[Label(name=f"l{n}") for n in range(20)])
    async with db.session() as s:
        labels = await s.all(Label)
        for left, right in zip(labels[::2], labels[1::2]):
            left.name, right.name = right.name, left.name
        await s.commit()
    assert [label.name for label in await objects(db, Label)] == [f"l{n ^ 1}" for n in range(20)]


@scenario
async def test_bulk_update_passes_unique_values_on(db: Database) -> None:
    """Rows are written as if one by one: each gives its name up before the next in the list takes it."""
    await db.save(*[Label(name=f"l{n}") for n in range(12)])
    async with db.session() as s:
        labels = await s.all(Label)
        for label in labels:
            label.name = f"l{int(label.name[1:]) + 1}"
        assert await s.bulk_update(labels[::-1], ["name"]) == 12
        await s.commit()
    assert [label.name for label in await objects(db, Label)] == [f"l{n}" for n in range(1, 13)]


@scenario
async def test_a_row_twice_in_a_bulk_update(db: Database) -> None:
    await db.save(*[Post(title=f"t{n}") for n in range(5)])
    async with db.session() as s:
        posts = []
        for number, old in enumerate([*await s.all(Post)] * 2):
            post = Post(title=old.title, rating=number)
            post.id = old.id
            posts.append(post)
        assert await s.bulk_update(posts, ["rating"]) == 10
        await s.commit()
    assert [post.rating for post in await objects(db, Post)] == [5, 6, 7, 8, 9]


@scenario
async def test_percent_signs_in_names(db: Database) -> None:
    async with db.session() as s:
        label = Label(name="l")
        shares = [Share(part=n) for n in range(5)]
        await s.add_all([label, *shares])
        await s.flush()
        for share in shares:
            share.part += 10
            share.labels.add(label)
        await s.flush()
        assert await s.bulk_update(shares[:2], ["part"]) == 2
        assert await s.bulk_insert([Share(part=50) for _ in range(150)]) == 150
        shares[0].labels.remove(label)
        shares[1].labels.remove(label)
        await s.delete(shares[2])
        await s.delete(shares[3])
        await s.commit()
    async with db.session() as s:
        found = await s.all(Share)
        assert [share.part for share in found] == [10, 11, 14, *[50] * 150]
        found[0].part = 99
        await s.delete(found[1])
        await s.commit()
        assert await done(s.query(Share).where(Share.part == 99).count()) == 1
        assert await done(s.query(Share).where(Share.labels.name == "l").count()) == 1


@scenario
async def test_trees_are_deleted_leaves_first(db: Database) -> None:
    async with db.session() as s:
        root = Node(name="root")
        level, nodes = [root], [root]
        for depth in range(4):
            level = [Node(name=f"{depth}.{n}", parent=parent) for parent in level for n in range(3)]
            nodes += level
        await s.add_all(nodes)
        await s.commit()
        for node in nodes:
            await s.delete(node)
        assert await written(s) <= 12
        await s.commit()
    assert await objects(db, Node) == []
