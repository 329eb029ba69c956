"""Capabilities: what a backend declares works, what it does not declare raises before anything is sent."""

from __future__ import annotations

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
    SchemaBuilder,
    Select,
    Update,
    field,
    foreign_key,
    func,
)
from blaze.testing.suite.harness import Database, Twin, done, scenario
from blaze.testing.suite.library import Author, Book, Edition
from blaze.testing.suite.models import Label

__all__ = ["test_capabilities_of_schemas", "test_capabilities_of_statements"]


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
    "savepoints": (_nested, True),
}


@pytest.mark.parametrize("name", STATEMENTS)
@scenario
async def test_capabilities_of_statements(db: Database, name: str) -> None:
    attempt, expected = STATEMENTS[name]
    async with db.session() as s:
        if db.has(name):
            found = await attempt(s)
            assert expected is None or found == expected
        elif name == "row_value_in":  # what needs it may find another way
            assert await attempt(s) == expected
        else:
            with pytest.raises(CapabilityError):
                await attempt(s)
            assert s.statements == 0
        await s.rollback()


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
            indexes = [Index("a", where="a > 5", unique=True)] if name == "partial_indexes" else []
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


@pytest.mark.parametrize(
    "name",
    ["check_constraints", "partial_indexes", "schemas", "generated_columns", "deferrable_constraints"],
)
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
