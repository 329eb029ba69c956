"""One-to-one sides that are assigned without having been read."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from tests.persistence.models import Author, Profile
from tests.persistence.twins import Database, Twin


async def by_owner(s: Twin, author: Author, profile: Profile) -> None:
    author.profile = profile


async def by_relation(s: Twin, author: Author, profile: Profile) -> None:
    profile.author = author
    await s.add(profile)


async def by_key(s: Twin, author: Author, profile: Profile) -> None:
    profile.author_id = author.id
    await s.add(profile)


async def moved(s: Twin, author: Author, profile: Profile) -> None:
    """A profile that another author has had."""
    profile.author = Author(name="other")
    await s.add(profile)
    await s.flush()
    profile.author = author


WAYS = [by_owner, by_relation, by_key, moved]
ROWS = "SELECT text, author_id FROM profile ORDER BY text"


@pytest.mark.requirement("R24")
@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("way", WAYS)
async def test_the_former_object_of_a_one_to_one_side_gives_its_place_up(
    db: Database, way: Any, loaded: bool
) -> None:
    await db.save(Author(name="a", profile=Profile(text="old")))
    async with db.session() as s:
        author = await s.get_one(Author, 1)
        old = await s.get_one(Profile, 1)
        if loaded:
            await s.read(author, "profile")
        new = Profile(text="new")
        async with s.transaction():
            await way(s, author, new)
            await s.flush()
            assert (old.author, old.author_id, author.profile, new.author) == (None, None, new, author)
            assert [tuple(row) for row in (await s.execute(ROWS)).all()] == [("new", 1), ("old", None)]
            with suppress(ZeroDivisionError):
                async with s.transaction():
                    await way(s, author, Profile(text="third"))
                    await s.flush()
                    assert new.author_id is None
                    raise ZeroDivisionError
            assert await s.read(author, "profile") is new
            assert new.author is author
    assert await db.rows(ROWS) == [("new", 1), ("old", None)]


@pytest.mark.requirement("R24")
@pytest.mark.parametrize("way", WAYS)
async def test_a_rollback_gives_the_place_back(db: Database, way: Any) -> None:
    await db.save(Author(name="a", profile=Profile(text="old")))
    async with db.session() as s:
        author = await s.get_one(Author, 1)
        await way(s, author, Profile(text="new"))
        await s.flush()
        await s.rollback()
        old = await s.read(author, "profile")
        assert (old.text, old.author_id, old.author) == ("old", 1, author)
        await way(s, author, Profile(text="new"))
        await s.rollback()  # before any flush
        assert await s.read(author, "profile") is old
        await s.commit()
    assert await db.rows(ROWS) == [("old", 1)]


@pytest.mark.parametrize("way", [by_owner, by_relation, by_key])
async def test_a_side_that_was_loaded_beside_a_pending_object_goes_back_to_its_row(
    db: Database, way: Any
) -> None:
    await db.save(Author(name="a", profile=Profile(text="former")))
    async with db.session(autoflush=False) as s:
        author = await s.get(Author, 1)
        await way(s, author, Profile(text="new"))
        await s.load(author, Author.profile)
        await s.rollback()
        assert (await s.read(author, "profile")).text == "former"
        assert author.profile.author is author


@pytest.mark.requirement("R24", "R71")
@pytest.mark.parametrize("way", [by_owner, by_relation, by_key])
@pytest.mark.parametrize("size", [2, 30])
async def test_one_statement_reads_the_former_objects_of_all_owners(
    db: Database, way: Any, size: int
) -> None:
    await db.save(*[Author(name=str(i), profile=Profile(text="old")) for i in range(size)])
    async with db.session() as s:
        authors = await s.all(Author)
        before = s.statements
        for author in authors:
            await way(s, author, Profile(text="new"))
        await s.flush()
        # It reads, takes the keys off the old ones and inserts the new ones.
        assert s.statements - before == 3
        await s.commit()
    assert await db.rows("SELECT text, count(author_id) FROM profile GROUP BY text ORDER BY text") == [
        ("new", size),
        ("old", 0),
    ]


@pytest.mark.requirement("R24")
async def test_the_last_one_that_was_assigned_unread_stays(db: Database) -> None:
    await db.save(Author(name="a", profile=Profile(text="old")), Profile(text="free"))
    async with db.session() as s:
        author, (free,) = await s.get_one(Author, 1), await s.all(Profile, Profile.text == "free")
        skipped = Profile(text="skipped")
        author.profile = skipped
        author.profile = free
        await s.commit()
        assert (author.profile, skipped.author_id) == (free, None)
    assert ("free", 1) in await db.rows(ROWS)
    async with db.session() as s:  # the same one again, though nobody has read that it is there
        author, (free,) = await s.get_one(Author, 1), await s.all(Profile, Profile.text == "free")
        author.profile = free
        await s.commit()
        author.profile = None
        await s.commit()
    assert ("free", None) in await db.rows(ROWS)
    assert await db.rows("SELECT author_id FROM profile WHERE author_id IS NOT NULL") == []


@pytest.mark.requirement("R24", "R64")
@pytest.mark.parametrize("loaded", [False, True])
async def test_places_that_are_given_up_and_taken_in_a_chain(db: Database, loaded: bool) -> None:
    one, two = Author(name="1", profile=Profile(text="a")), Author(name="2", profile=Profile(text="b"))
    await db.save(one, two, Profile(text="c"))
    async with db.session() as s:
        one, two = await s.get_one(Author, one.id), await s.get_one(Author, two.id)
        (a,), (c,) = await s.all(Profile, Profile.text == "a"), await s.all(Profile, Profile.text == "c")
        if loaded:
            await s.read(two, "profile")
        a.author = two
        c.author = one
        await s.commit()
        assert (one.profile, two.profile, a.author, c.author) == (c, a, two, one)
    assert await db.rows(ROWS) == [("a", two.id), ("b", None), ("c", one.id)]


GIVEN: dict[str, Any] = {
    "c to one": lambda one, two, a, c: setattr(c, "author", one),
    "one to c": lambda one, two, a, c: setattr(one, "profile", c),
    "c to 1": lambda one, two, a, c: setattr(c, "author_id", 1),
}
# What is done with the profile that is there, and who has the first and the second author then.
DONE: dict[str, tuple[Any, str]] = {
    "two to a": (lambda one, two, a, c: setattr(two, "profile", a), "ca"),
    "a to two": (lambda one, two, a, c: setattr(a, "author", two), "ca"),
    "a to 2": (lambda one, two, a, c: setattr(a, "author_id", 2), "ca"),
    "a to none": (lambda one, two, a, c: setattr(a, "author", None), "c-"),
    "a to no key": (lambda one, two, a, c: setattr(a, "author_id", None), "c-"),
    "a to one": (lambda one, two, a, c: setattr(a, "author", one), "a-"),
    "a to 1": (lambda one, two, a, c: setattr(a, "author_id", 1), "a-"),
}


@pytest.mark.requirement("R24")
@pytest.mark.parametrize("given", GIVEN)
async def test_the_former_object_of_an_unread_side_goes_elsewhere_or_comes_back(
    db: Database, given: str
) -> None:
    await db.save(Author(id=1, name="1"), Author(id=2, name="2"), Profile(text="a"), Profile(text="c"))
    for name, (change, expected) in DONE.items():
        changes = [GIVEN[given], change]
        for order in [changes] if expected == "a-" else [changes, changes[::-1]]:
            async with db.session() as s:
                await s.execute("UPDATE profile SET author_id = NULL")
                await s.execute("UPDATE profile SET author_id = 1 WHERE text = 'a'")
                await s.commit()
                authors, (a, c) = await s.all(Author), await s.all(Profile)
                with s.session.no_autoflush():
                    for each in order:
                        each(*authors, a, c)
                await s.commit()
                shown = [await s.read(author, "profile") for author in authors]
                assert "".join([each.text if each else "-" for each in shown]) == expected, name
                assert {a.author, c.author} == {o if p else None for o, p in zip(authors, shown)}, name
            rows = dict(await db.rows("SELECT author_id, text FROM profile"))
            assert "".join([rows.get(key, "-") for key in (1, 2)]) == expected, name
