"""Capabilities: what a backend declares works, what it does not declare raises before anything is sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from blaze import (
    CTE,
    CapabilityError,
    Check,
    Delete,
    Field,
    ForeignKey,
    Index,
    Insert,
    Model,
    QueryError,
    SchemaBuilder,
    Select,
    Update,
    field,
    foreign_key,
    func,
    row,
    sql,
)
from blaze.testing.suite.harness import Database, Twin, done, scenario
from blaze.testing.suite.library import Author, Book, Edition, Publisher, at
from blaze.testing.suite.models import Car, Label, Ticket

__all__ = [
    "test_a_writing_statement_in_with_is_part_of_the_session",
    "test_capabilities_of_schemas",
    "test_capabilities_of_statements",
    "test_comments_are_written_where_there_are_any",
    "test_rows_of_a_hierarchy_are_locked",
]


async def _first(s: Twin, statement: Any) -> Any:
    return await done((await s.exec(statement)).all())


async def _nested(s: Twin) -> Any:
    async with s.transaction(), s.transaction():
        return True


def _chain() -> Any:
    base = Select(Author.id, Author.mentor_id).where(Author.id == 4)
    chain = CTE("chain", base)
    return chain.recurse(Select(Author.id, Author.mentor_id).join(chain, on=chain.c.mentor_id == Author.id))


def _recursive(s: Twin) -> Any:
    chain = _chain()
    return done(s.query(chain.c.id).with_cte(chain).all())


async def _default_rows(s: Twin) -> Any:
    await s.add_all([Ticket(), Ticket()])
    await s.flush()
    return len(await s.all(Ticket))


def _changed(s: Twin) -> Any:
    renamed = CTE("renamed", Update(Author).set(name="x").where(Author.id == 2).returning(Author.id))
    return done(s.query(renamed.c.id).with_cte(renamed).all())


def _lateral(s: Twin) -> Any:
    longest = Select(Book.id).where(Book.author_id == Author.id).order_by(Book.pages.desc()).limit(1)
    best = longest.alias("best", lateral=True)
    query = s.query(Author.id, best.c.id.label("book")).join(best)
    return done(query.where(Author.id.in_([1, 2])).order_by(Author.id).all())


async def _full_join(s: Twin) -> Any:
    query = s.query(Author.id, Publisher.id.label("publisher"))
    rows = await done(query.full_join(Publisher, on=Author.id == Publisher.id + 3).all())
    return sorted([tuple(row) for row in rows], key=str)


# The flag, what needs it, what it gives.
STATEMENTS: dict[str, tuple[Any, Any]] = {
    "returning": (
        lambda s: _first(s, Insert(Label).values([{"name": "a"}, {"name": "b"}]).returning(Label.name)),
        [("a",), ("b",)],
    ),
    "update_returning": (
        lambda s: _first(s, Update(Author).set(name="x").where(Author.id == 2).returning(Author.id)),
        [(2,)],
    ),
    "delete_returning": (
        lambda s: _first(s, Delete(Edition).where(Edition.code == "none").returning(Edition.code)),
        [],
    ),
    "on_conflict": (
        lambda s: s.upsert([Label(name="a")], conflict=["name"]),
        None,
    ),
    "conflict_rows": (
        lambda s: _first(
            s,
            Insert(Label).values(name="a").on_conflict("name", do="nothing").returning(Label.name),
        ),
        [("a",)],
    ),
    "for_update": (
        lambda s: done(s.query(Author.id).where(Author.id == 1).for_update().all()),
        [(1,)],
    ),
    "skip_locked": (
        lambda s: done(s.query(Author.id).where(Author.id == 1).for_update(skip_locked=True).all()),
        [(1,)],
    ),
    "nowait": (
        lambda s: done(s.query(Author.id).where(Author.id == 1).for_update(nowait=True).all()),
        [(1,)],
    ),
    "for_update_of": (
        lambda s: done(
            s.query(Book.id).join(Book.author).where(Book.id == 1).for_update(of=[Book.author]).all()
        ),
        [(1,)],
    ),
    "for_share": (
        lambda s: done(s.query(Author.id).where(Author.id == 1).for_share().all()),
        [(1,)],
    ),
    "distinct_on": (
        lambda s: done(
            s.query(Book.author_id, Book.id)
            .distinct(Book.author_id)
            .order_by(Book.author_id, Book.id.desc())
            .all()
        ),
        [(1, 3), (2, 5), (3, 6), (4, 7)],
    ),
    "intersect_except": (
        lambda s: done(
            s.query(Book.id).where(Book.id < 4).except_(s.query(Book.id).where(Book.id < 3)).scalars()
        ),
        [3],
    ),
    "window_functions": (
        lambda s: done(s.query(func.row_number().over(order_by=Book.id).label("n")).limit(1).scalars()),
        [1],
    ),
    "window_frames_exclude": (
        lambda s: done(
            s.query(
                Book.id,
                func.count(Book.id)
                .over(order_by=Book.id, rows=(None, None), exclude="current row")
                .label("n"),
            )
            .where(Book.id == 1)
            .all()
        ),
        [(1, 0)],
    ),
    "filter_clause": (
        lambda s: done(s.query(func.count(Book.id).filter(Book.pages > 300)).all()),
        [(3,)],
    ),
    "recursive_cte": (_recursive, None),
    "row_value_in": (
        lambda s: done(
            s.query(Edition.year).where(Edition.copies.shelf == "z").order_by(Edition.year).scalars()
        ),
        [2010],
    ),
    "insert_default_values": (
        _default_rows,
        2,
    ),
    "data_modifying_cte": (_changed, [(2,)]),
    "row_values": (
        lambda s: done(
            s.query(Edition.code, Edition.number)
            .where(row(Edition.code, Edition.number) > ("A", 1))
            .order_by(Edition.code, Edition.number)
            .limit(1)
            .all()
        ),
        [("A", 2)],
    ),
    "grouping_sets": (
        lambda s: done(
            s.query(Book.author_id, func.count(Book.id).label("n"))
            .grouping_sets([Book.author_id], [])
            .order_by(func.count(Book.id).desc(), Book.author_id)
            .limit(2)
            .all()
        ),
        [(None, 7), (1, 3)],
    ),
    "lateral": (_lateral, [(1, 1), (2, 4)]),
    "right_join": (
        lambda s: done(
            s.query(Author.id, Book.id)
            .right_join(Book, on=(Book.author_id == Author.id) & (Author.id == 1))
            .where(Book.id.in_([1, 7]))
            .order_by(Book.id)
            .all()
        ),
        [(1, 1), (None, 7)],
    ),
    "full_join": (_full_join, [(1, None), (2, None), (3, None), (4, 1), (5, 2), (None, 3)]),
    "json_paths": (
        lambda s: done(s.query(Book.meta["tags"][1].label("tag")).where(Book.meta["tags"][0] == "a").all()),
        [("b",)],
    ),
    "native_interval": (
        lambda s: done(s.query(Book.id).where(Book.published + timedelta(days=1) == at(2)).all()),
        [(1,)],
    ),
    "savepoints": (_nested, True),
}


# What has a flag beside its own.
PARTS = {"window_frames_exclude": ["window_functions"], "conflict_rows": ["on_conflict", "returning"]}

INDEXES = {
    "partial_indexes": [Index("a", where="a > 5", unique=True)],
    "expression_indexes": [Index(sql("a + id"))],
}


@pytest.mark.parametrize("name", STATEMENTS)
@scenario
async def test_capabilities_of_statements(db: Database, name: str) -> None:
    attempt, expected = STATEMENTS[name]
    async with db.session() as s:
        if all(map(db.has, [name, *PARTS.get(name, [])])):
            found = await attempt(s)
            assert expected is None or found == expected
        elif name == "row_value_in":  # what needs it may find another way
            assert await attempt(s) == expected
        else:
            with pytest.raises(CapabilityError):
                await attempt(s)
            assert s.statements == 0
        await s.rollback()


@scenario
async def test_rows_of_a_hierarchy_are_locked(db: Database) -> None:
    """The rows of a joined table alone can be locked, and a query for its objects locks all of theirs."""
    db.needs("for_update")
    await db.save(Car(name="c", doors=3))
    async with db.session() as s:
        assert [car.name for car in await done(s.query(Car).for_update().all())] == ["c"]
        if db.has("for_update_of"):
            for of in ([Car], (Car,), Car):
                query = s.query(Car).where(Car.doors == 3).for_update(of=of)
                assert [car.name for car in await done(query.all())] == ["c"]
            with pytest.raises(QueryError, match="takes models and relations, not 5"):
                s.query(Car).for_update(of=5)


@scenario
async def test_a_writing_statement_in_with_is_part_of_the_session(db: Database) -> None:
    db.needs("data_modifying_cte")
    await db.save(Label(name="a"), Label(name="b"))
    async with db.session() as s:
        a, b = await s.all(Label)
        renamed = CTE("renamed", Update(Label).set(name="x").where(Label.id == a.id).returning(Label.id))
        gone = CTE("gone", Delete(Label).where(Label.id == b.id).returning(Label.name))
        new = CTE("new", Insert(Label).values([{"name": "c"}, {"name": "d"}]).returning(Label.name))
        query = s.query(renamed.c.id, gone.c.name).with_cte(renamed).with_cte(gone)
        assert await done(query.join(gone, on=gone.c.name == "b").all()) == [(a.id, "b")]
        assert a.name == "x"
        assert await s.get(Label, b.id) is None
        assert sorted(await done(s.query(new.c.name).with_cte(new).scalars())) == ["c", "d"]
        await s.rollback()
        assert (a.name, await s.get(Label, b.id)) == ("a", b)
    assert sorted(await db.rows(Select(Label.name))) == [("a",), ("b",)]


def _model(name: str) -> Any:
    """Make a model that needs one capability."""

    class Target(Model):
        id: Field[int] = field(primary_key=True)

        class Meta:
            table = "suite_capability_target"

    class Needy(Model):
        id: Field[int] = field(primary_key=True)
        a: Field[int] = field(default=1)

        class Meta:
            table = "suite_capability"
            constraints = [Check("a > 0")] if name == "check_constraints" else []
            indexes = INDEXES.get(name, [])
            schema = "suite_schema" if name == "schemas" else None

    class Generated(Model):
        id: Field[int] = field(primary_key=True)
        a: Field[int] = field(default=1)
        b: Field[int] = field(generated="a + 1")

        class Meta:
            table = "suite_capability"

    class Deferred(Model):
        id: Field[int] = field(primary_key=True)
        target: ForeignKey[Target] = foreign_key(deferrable=True)

        class Meta:
            table = "suite_capability"

    return {
        "generated_columns": [Generated],
        "deferrable_constraints": [Target, Deferred],
    }.get(name, [Needy])


SCHEMAS = (
    "check_constraints",
    "partial_indexes",
    "expression_indexes",
    "schemas",
    "generated_columns",
    "deferrable_constraints",
)


@pytest.mark.parametrize("name", SCHEMAS)
@scenario
async def test_capabilities_of_schemas(db: Database, name: str) -> None:
    models = _model(name)
    builder = SchemaBuilder(db.dialect)
    if not db.has(name):
        with pytest.raises(CapabilityError):
            builder.create_sql(models)
        return
    assert builder.create_sql(models)
    if name == "schemas":  # whether there is one to put the table into is not the suite's to know
        return
    await db.drop_tables(*models)
    await db.make_tables(*models)
    await db.drop_tables(*models)


@scenario
async def test_comments_are_written_where_there_are_any(db: Database) -> None:
    class Noted(Model):
        """A table with a comment."""

        id: Field[int] = field(primary_key=True, comment="it's the number")

        class Meta:
            table = "suite_capability"
            comment = "with a note"

    text = "\n".join(SchemaBuilder(db.dialect).create_sql(Noted))
    assert ("it''s the number" in text, "with a note" in text) == (db.has("comments"),) * 2
    await db.drop_tables(Noted)
    await db.make_tables(Noted)
    await db.drop_tables(Noted)
