"""Foreign keys that were not loaded when they changed, and rollbacks: with and without autoflush."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from tests.persistence.models import Author, Book, Profile
from tests.persistence.twins import Database, Twin, names

pytestmark = pytest.mark.requirement("R20", "R24", "R34")


async def loaded(s: Twin, model: Any, missing: str) -> Any:
    """Give the first object of a model without its foreign key, or with everything."""
    query = s.query(model).order_by(model.id)
    if missing == "only":
        return (await s.do(lambda _: query.only(*[getattr(model, n) for n in ("id", LABEL[model])]).all()))[0]
    if missing == "defer":
        return (await s.do(lambda _: query.defer("author_id").all()))[0]
    if missing == "expired":
        await s.execute("UPDATE author SET name = name")
        found = (await s.do(lambda _: query.all()))[0]
        await s.rollback()
        return found
    return (await s.do(lambda _: query.all()))[0]


LABEL: dict[Any, str] = {Book: "title", Profile: "text"}
SETS: dict[str, Any] = {
    "relation": lambda o, author: setattr(o, "author", author),
    "key": lambda o, author: setattr(o, "author_id", author.id),
    "no relation": lambda o, author: setattr(o, "author", None),
    "no key": lambda o, author: setattr(o, "author_id", None),
    "label": lambda o, author: setattr(o, LABEL[type(o).__mapper__.model], "changed"),
}


async def seen(s: Twin, o: Any, one: Author, two: Author) -> list[Any]:
    """Return what the object and the authors show."""
    side = "books" if isinstance(o, Book) else "profile"
    found: list[Any] = [(await s.get_one(type(o).__mapper__.model, o.id)) is o]
    await s.load(o, type(o).__mapper__.model.author_id)
    found.append(o.author_id)
    author = await s.read(o, "author")
    found.append(author if author is None else author.name)
    for each in (one, two):
        shown = await s.read(each, side)
        if isinstance(shown, list):
            found.append(names(shown, "title"))
        else:
            found.append(shown if shown is None else shown.text)
    return found


@pytest.mark.parametrize("how", SETS)
@pytest.mark.parametrize("missing", ["nothing", "only", "defer", "expired"])
@pytest.mark.parametrize("model", [Book, Profile])
async def test_a_key_that_was_not_loaded_comes_back(db: Database, model: Any, missing: str, how: str) -> None:
    label = LABEL[model]
    await db.save(Author(id=1, name="one"), Author(id=2, name="two"), model(**{label: "x"}, author_id=1))
    table = model.__mapper__.table.name
    side = "books" if model is Book else "profile"
    listed: Any = ["x"] if model is Book else "x"
    empty: Any = [] if model is Book else None
    now: Any = ["changed"] if model is Book else "changed"
    changed = {
        "relation": [True, 2, "two", empty, listed],
        "key": [True, 2, "two", empty, listed],
        "no relation": [True, None, None, empty, empty],
        "no key": [True, None, None, empty, empty],
        "label": [True, 1, "one", now, empty],
    }[how]
    before = [True, 1, "one", listed, empty]
    wrong = []
    for autoflush in (True, False):
        for sides in (False, True):
            for flushed in ("never", "inside", "late", "before"):
                for level in ("savepoint", "all"):
                    case = (autoflush, sides, flushed, level)
                    async with db.session(autoflush=autoflush) as s:
                        o = await loaded(s, model, missing)
                        one, two = await s.get_one(Author, 1), await s.get_one(Author, 2)
                        if sides:
                            await s.read(one, side)
                            await s.read(two, side)
                        if (
                            flushed == "before"
                        ):  # flushed outside of what is rolled back, if that is a savepoint
                            SETS[how](o, two)
                            await s.flush()
                            SETS["relation"](o, one)
                        if level == "savepoint":
                            async with s.transaction():
                                with suppress(ZeroDivisionError):
                                    async with s.transaction():
                                        SETS[how](o, two)
                                        if flushed == "inside":
                                            await s.flush()
                                        if flushed == "late":
                                            await seen(s, o, one, two)
                                        raise ZeroDivisionError
                                found = await seen(s, o, one, two)
                                expected = before
                                if flushed == "before":
                                    expected = [True, 1, "one", listed if how != "label" else now, empty]
                                if found != expected:
                                    wrong.append((case, "after the savepoint", found, expected))
                        else:
                            SETS[how](o, two)
                            if flushed == "inside":
                                await s.flush()
                            if flushed == "late":
                                found = await seen(s, o, one, two)
                                if found != changed:
                                    wrong.append((case, "before the rollback", found, changed))
                            await s.rollback()
                            found = await seen(s, o, one, two)
                            if found != before:
                                wrong.append((case, "after the rollback", found, before))
                            SETS[how](o, two)
                            await s.flush()
                            found = await seen(s, o, one, two)
                            if found != changed:
                                wrong.append((case, "after another change", found, changed))
                        await s.rollback()
                    async with db.session() as s:
                        await s.execute(f"UPDATE {table} SET author_id = 1, {label} = 'x'")
                        await s.commit()
    assert wrong == []
