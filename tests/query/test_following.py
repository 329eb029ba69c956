"""Loaded objects after `update()` and `delete()` of queries: they show what is in the database, at the cost
of the rows met.
"""

from __future__ import annotations

from typing import Any

import pytest

from blaze import Delete, NotLoadedError, QueryError, Select, Session, Update
from tests.query.conftest import Both
from tests.query.models import Author, Book, Profile, Publisher, Review, Tag

MANY = 120  # more than the objects that are read again one by one


def tags(count: int) -> list[Tag]:
    return [Tag(id=n, name=f"n{n}") for n in range(1000, 1000 + count)]


def rows_told(session: Any) -> int:
    """Return how many rows the statements so far have read, written, or given back."""
    return sum(entry.rows for entry in session.query_stats())


async def test_a_loop_of_updates_costs_by_the_rows_it_meets(both: Both) -> None:
    await both(both.session.bulk_insert(tags(MANY)))
    held = await both(both.query(Tag).where(Tag.id >= 1000).all())
    before, told = both.statements, rows_told(both.session)
    for tag in held:
        await both(both.query(Tag).where(Tag.id == tag.id).update(name=f"new{tag.id}"))
    assert both.statements - before == MANY, "one statement each"
    assert all(tag.name == f"new{tag.id}" for tag in held)
    assert rows_told(both.session) - told <= MANY
    assert both.session.dirty == []
    await both(both.session.rollback())
    with pytest.raises(NotLoadedError, match="rolled back"):
        held[0].name  # noqa: B018


async def test_an_update_of_many_objects_is_taken_back(both: Both) -> None:
    await both(both.session.bulk_insert(tags(MANY)))
    await both(both.session.commit())
    held = await both(both.query(Tag).where(Tag.id >= 1000).all())
    assert await both(both.query(Tag).where(Tag.id >= 1000).update(name=Tag.name + "!")) == MANY
    assert [tag.name for tag in held] == [f"n{tag.id}!" for tag in held]
    await both(both.session.rollback())
    assert [tag.name for tag in held] == [f"n{tag.id}" for tag in held]


async def test_a_loop_of_deletes_costs_by_the_rows_it_meets(both: Both) -> None:
    await both(both.session.bulk_insert(tags(MANY)))
    held = await both(both.query(Tag).where(Tag.id >= 1000).order_by("id").all())
    before, told = both.statements, rows_told(both.session)
    for tag in held[: MANY // 2]:
        assert await both(both.query(Tag).where(Tag.id == tag.id).delete()) == 1
    assert both.statements - before == MANY // 2
    assert rows_told(both.session) - told <= MANY // 2
    assert await both(both.session.get(Tag, 1000)) is None
    assert await both(both.session.get(Tag, 1000 + MANY - 1)) is held[-1]
    assert len(await both(both.query(Tag).where(Tag.id >= 1000).all())) == MANY // 2


async def freed(both: Both) -> None:
    """Let only books and a profile refer to the first author, which go with it."""
    await both(both.query(Book).where(Book.editor_id == 1).update(editor=None))
    await both(both.query(Author).where(Author.mentor_id == 1).update(mentor=None))
    await both(both.session.commit())


def test_nothing_held_costs_nothing(writer: Session) -> None:
    before = writer.query_stats().total
    writer.query(Tag).where(Tag.id == 1).update(name="x")
    writer.query(Review).where(Review.id == 1).delete()
    writer.exec(Update(Book).set(pages=1).where(Book.id == 1))
    assert writer.query_stats().total - before == 3


def test_a_key_that_is_updated_is_followed(writer: Session) -> None:
    writer.bulk_insert(tags(MANY))
    held = writer.query(Tag).where(Tag.id >= 1000).order_by("id").all()
    assert writer.query(Tag).where(Tag.id == 1000).update(id=5000) == 1
    assert writer.get(Tag, 1000) is None
    assert writer.get_one(Tag, 5000).name == held[0].name
    assert writer.get_one(Tag, 1001) is held[1]


@pytest.mark.parametrize("many", [False, True])
async def test_children_that_the_database_deletes_are_gone(both: Both, many: bool) -> None:
    if many:
        rows = [Review(id=n, stars=1, book_id=2) for n in range(1000, 1000 + MANY)]
        await both(both.session.bulk_insert(rows))
    await freed(both)
    books = await both(both.query(Book).include("reviews", "tags").order_by("id").all())
    author = await both(both.session.get(Author, 1))
    profile = await both(both.session.get(Profile, 9))
    await both(both.session.load(author, Author.books))
    reviews = list(books[0].reviews)
    assert await both(both.query(Author).where(Author.id == 1).delete()) == 1
    assert await both(both.session.get(Author, 1)) is None
    assert await both(both.session.get(Profile, 9)) is None
    for number in (1, 2, 3):
        assert await both(both.session.get(Book, number)) is None
    assert await both(both.session.get(Review, reviews[0].id)) is None
    assert await both(both.session.get(Book, 4)) is books[3]
    await both(both.session.rollback())
    assert await both(both.session.get(Author, 1)) is author
    assert await both(both.session.get(Profile, 9)) is profile
    assert await both(both.session.get(Book, 1)) is books[0]
    assert list(books[0].reviews) == reviews
    assert [book.id for book in author.books] == [1, 2, 3]


async def test_rows_of_parents_that_are_not_loaded_take_loaded_children_along(both: Both) -> None:
    held = await both(both.query(Review).order_by("id").all())
    assert await both(both.query(Book).where(Book.id == 1).delete()) == 1
    left = await both(both.query(Review).order_by("id").all())
    assert [review for review in held if review in left] == left
    assert len(left) == len(held) - 2
    assert await both(both.session.get(Review, held[0].id)) is None


async def test_a_deletion_reaches_over_tables_that_are_not_loaded(both: Both) -> None:
    await freed(both)
    held = await both(both.query(Review).order_by("id").all())
    gone = [review for review in held if review.book_id in (1, 2, 3)]
    assert await both(both.query(Author).where(Author.id == 1).delete()) == 1
    for review in gone:
        assert await both(both.session.get(Review, review.id)) is None
    before = both.statements
    assert await both(both.session.get(Review, held[-1].id)) is held[-1]
    assert both.statements == before


async def test_a_deleted_object_leaves_the_lists_that_show_it(both: Both) -> None:
    author = await both(both.session.get(Author, 1))
    await both(both.session.load(author, Author.books))
    tag = await both(both.session.get(Tag, 1))
    await both(both.session.load(tag, Tag.books))
    await both(both.query(Book).where(Book.id == 1).delete())
    assert [book.id for book in author.books] == [2, 3]
    assert 1 not in [book.id for book in tag.books]
    await both(both.session.rollback())
    assert [book.id for book in author.books] == [1, 2, 3]
    assert 1 in [book.id for book in tag.books]


async def test_delete_statements_are_followed_like_queries(both: Both) -> None:
    review = await both(both.session.get(Review, 1))
    await both(both.session.exec(Delete(Book).where(Book.id == review.book_id)))
    assert await both(both.session.get(Review, 1)) is None
    await both(both.session.rollback())
    assert await both(both.session.get(Review, 1)) is review


@pytest.mark.parametrize("query", [lambda q: q, lambda q: q.order_by("id"), lambda q: q.filter()])
async def test_a_query_for_every_row_says_so(both: Both, query: Any) -> None:
    for run in (lambda q: q.delete(), lambda q: q.update(name="x")):
        with pytest.raises(QueryError, match=r"every Publisher.*all_rows\(\)"):
            await both(run(query(both.query(Publisher))))
        with pytest.raises(QueryError, match=r"all_rows\(\)"):
            await both(both.session.parallel_exec([run(query(Select(Publisher)))]))
    for statement in (Delete(Publisher).where(), Update(Publisher).set(name="x").where()):
        with pytest.raises(QueryError, match=r"all_rows\(\)"):
            await both(both.session.exec(statement))
    assert await both(both.query(Publisher).all_rows().update(name="x")) == 3
    assert await both(both.query(Publisher).limit(1).update(name="y")) == 1
