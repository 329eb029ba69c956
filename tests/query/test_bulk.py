"""bulk_insert, bulk_update, bulk_delete, upsert, and streams."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from blaze import ModelError, NoResultError, QueryError, Session, SessionError, UniqueError
from tests.query.conftest import Both
from tests.query.models import Author, Book, Copy, Edition, Publisher, Review, Tag


def tags(n: int, start: int = 0) -> Iterator[Tag]:
    for number in range(start, start + n):
        yield Tag(name=f"tag{number}")


@pytest.mark.requirement("R69", "R71")
async def test_bulk_insert_takes_any_iterable(both: Both) -> None:
    seen: list[Any] = []
    before = both.statements
    count = await both(
        both.session.bulk_insert(tags(12_000), progress=lambda done, total: seen.append((done, total)))
    )
    assert count == 12_000
    assert seen == [(5_000, None), (10_000, None), (12_000, None)]
    assert both.statements - before < 10
    assert await both(both.query(Tag).count()) == 12_004
    assert await both(both.session.bulk_insert([])) == 0


async def test_bulk_insert_gives_keys_back_in_order(both: Both) -> None:
    objects = list(tags(1_203))
    objects[5].id = 90_000
    objects[700].id = 80_000
    result = await both(both.session.bulk_insert(objects, return_keys=True))
    assert result == 1_203
    assert result.keys == [tag.id for tag in objects]
    assert (result.keys[5], result.keys[700]) == (90_000, 80_000)
    rows = dict(await both(both.query(Tag.id, Tag.name).where(Tag.id > 4).all()))
    assert rows == {tag.id: tag.name for tag in objects}
    plain = await both(both.session.bulk_insert(tags(2, 5_000)))
    assert plain.keys is None


async def test_bulk_insert_of_several_models_at_once(both: Both) -> None:
    mixed: list[Any] = []
    for number in range(10):
        mixed += [Tag(name=f"mixed{number}"), Publisher(name=f"house{number}")]
    result = await both(both.session.bulk_insert(mixed, return_keys=True))
    assert result.keys == [item.id for item in mixed]
    assert await both(both.query(Publisher).where(Publisher.name.startswith("house")).count()) == 10


async def test_alternating_nulls_and_defaults_stay_few_statements(both: Both) -> None:
    authors = [Author(name=f"a{n}", email=f"a{n}@x" if n % 2 else None) for n in range(2_000)]
    before = both.statements
    await both(both.session.bulk_insert(authors))
    assert both.statements - before <= 2
    assert (
        await both(both.query(Author).where(Author.email.is_(None), Author.name.startswith("a")).count())
        == 1_000
    )


def test_bulk_insert_takes_keys_from_related_objects(writer: Session) -> None:
    author = writer.get_one(Author, 2)
    book = Book(title="x", pages=1, price=Decimal("1"), author=author)
    writer.bulk_insert([book, Copy(shelf="q", edition=writer.get_one(Edition, ("A", 1)))])
    assert writer.query(Book).where(Book.title == "x").one().author is author
    assert writer.query(Copy).where(Copy.shelf == "q").one().edition.year == 1999


def test_a_failed_bulk_insert_leaves_a_usable_session(writer: Session) -> None:
    with pytest.raises(UniqueError):
        writer.bulk_insert([Tag(name="new"), Tag(name="sf")])
    writer.rollback()
    assert writer.query(Tag).count() == 4
    with pytest.raises(ModelError, match="models"):
        writer.bulk_insert([5])


@pytest.mark.requirement("R70")
async def test_bulk_update(both: Both) -> None:
    books = await both(both.query(Book).order_by("id").all())
    for book in books:
        book.pages += 1
        book.title = f"title {book.id}"
    before = both.statements
    assert await both(both.session.bulk_update(books, fields=["pages", Book.title])) == 7
    assert both.statements == before + 1
    assert both.session.dirty == []
    assert await both(both.query(Book.pages).where(Book.title == "title 5").scalar()) == 11


async def test_bulk_update_of_objects_of_elsewhere(both: Both) -> None:
    mine = await both(both.session.get(Tag, 1))
    assert mine.name == "sf"
    assert (
        await both(both.session.bulk_update([Tag(id=1, name="science fiction"), Tag(id=99, name="none")]))
        == 1
    )
    assert await both(both.query(Tag.name).where(Tag.id == 1).scalar()) == "science fiction"


def test_bulk_update_refuses_what_it_cannot_do(writer: Session) -> None:
    book = writer.get_one(Book, 1)
    for fields in (["id"], ["titel"], ["tags"], ["reviews"], [Author.name], [5]):
        with pytest.raises(QueryError):
            writer.bulk_update([book], fields=fields)
    with pytest.raises(SessionError, match="key"):
        writer.bulk_update([Tag(name="new")])


def test_bulk_update_of_relations(writer: Session) -> None:
    books = writer.query(Book).where(Book.id < 3).order_by("id").all()
    for book in books:
        book.author = writer.get_one(Author, 4)
        book.editor = None
    assert writer.bulk_update(books, fields=[Book.author, "editor"]) == 2
    writer.commit()
    assert writer.execute("SELECT author_id, editor_id FROM book WHERE id < 3").all() == [
        (4, None),
        (4, None),
    ]


async def test_bulk_delete(both: Both) -> None:
    assert await both(both.session.bulk_delete(Review, range(1, 6))) == 5
    assert await both(both.session.bulk_delete(Review, [])) == 0
    await both(both.session.bulk_insert(tags(15_000)))
    before = both.statements
    keys = await both(both.query(Tag.id).where(Tag.id > 4).scalars())
    assert await both(both.session.bulk_delete(Tag, keys)) == 15_000
    assert both.statements - before <= 4
    await both(both.session.bulk_delete(Copy, [1, 2, 3, 4, 5]))
    assert await both(both.session.bulk_delete(Edition, [("A", 1), ("B", 1), ("Z", 9)])) == 2
    assert await both(both.session.get(Edition, ("A", 1))) is None


async def test_upsert_tells_inserted_from_updated(both: Both) -> None:
    authors = [
        Author(name="Ursula K.", email="ursula@example.org"),
        Author(name="New", email="new@example.org"),
        Author(name="Octavia E.", email="octavia@example.org"),
    ]
    result = await both(both.session.upsert(authors, conflict=[Author.email], update=[Author.name]))
    assert result.updated == [1, 3]
    assert len(result.inserted) == 1
    assert [a.id for a in authors] == [1, result.inserted[0], 3]
    rows = await both(both.query(Author.id, Author.name, Author.born).where(Author.id.in_([1, 3])).all())
    assert [(row.id, row.name) for row in sorted(rows)] == [(1, "Ursula K."), (3, "Octavia E.")]
    assert sorted(rows)[0].born is not None
    assert "1 inserted, 2 updated" in repr(result)


async def test_upsert_of_everything_and_of_nothing(both: Both) -> None:
    result = await both(both.session.upsert(tags(3_000), conflict=["name"]))
    assert (len(result.inserted), result.updated) == (3_000, [])
    again = await both(both.session.upsert(tags(3_001), conflict=["name"], update=[]))
    assert (len(again.inserted), again.updated) == (1, [])
    assert (await both(both.session.upsert([], conflict=["name"]))) is not None
    assert await both(both.query(Tag).count()) == 3_005


async def test_upsert_by_the_primary_key(both: Both) -> None:
    result = await both(
        both.session.upsert([Tag(id=1, name="one"), Tag(id=77, name="new")], conflict=[Tag.id])
    )
    assert (result.inserted, result.updated) == ([77], [1])
    result = await both(
        both.session.upsert(
            [Edition(code="A", number=1, year=1), Edition(code="C", number=1, year=2)], ["code", "number"]
        )
    )
    assert (result.inserted, result.updated) == ([("C", 1)], [("A", 1)])
    result = await both(both.session.upsert([Tag(name="keyless"), Tag(id=1, name="uno")], conflict=[Tag.id]))
    assert result.updated == [1]
    assert len(result.inserted) == 1


async def test_null_conflicts_with_nothing(both: Both) -> None:
    authors = [
        Author(name="a", email=None),
        Author(name="b", email=None),
        Author(name="c", email="emile@example.org"),
    ]
    result = await both(both.session.upsert(authors, conflict=[Author.email]))
    assert result.updated == [4]
    assert result.inserted == [authors[0].id, authors[1].id]


def test_upserts_that_cannot_be(writer: Session) -> None:
    for bad in (
        lambda: writer.upsert([Tag(name="a"), Tag(name="a")], conflict=["name"]),
        lambda: writer.upsert([Author(name="a")], conflict=["name"]),
        lambda: writer.upsert([Tag(name="a")], conflict=["nmae"]),
        lambda: writer.upsert([Tag(name="a")], conflict=["name"], update=["id"]),
        lambda: writer.upsert([Tag(name="a")], conflict=[]),
    ):
        with pytest.raises(QueryError):
            bad()


async def test_a_stream_yields_every_object(both: Both) -> None:
    query = both.query(Book).order_by("id")
    for size in (1, 3, 100):
        stream = query.stream(size=size)
        found = [b async for b in stream] if hasattr(stream, "__aiter__") else list(stream)
        assert [b.id for b in found] == [1, 2, 3, 4, 5, 6, 7]
    rows = both.query(Book.title).order_by("id").stream()
    titles = [row.title async for row in rows] if hasattr(rows, "__aiter__") else [row.title for row in rows]
    assert titles[0] == "The Dispossessed"


async def test_a_stream_includes_relations_batch_by_batch(both: Both) -> None:
    before = both.statements
    stream = both.query(Book).include("author", "tags").order_by("id").stream(size=4)
    found = [b async for b in stream] if hasattr(stream, "__aiter__") else list(stream)
    assert [(b.author.name, len(b.tags)) for b in found][:2] == [("Ursula", 2), ("Ursula", 1)]
    assert both.statements - before <= 6


def test_a_stream_shows_the_objects_of_the_session(session: Session) -> None:
    book = session.get_one(Book, 3)
    found = list(session.query(Book).stream())
    assert [b for b in found if b.id == 3] == [book]


def test_a_stream_runs_in_constant_memory(writer: Session) -> None:
    writer.bulk_insert(Review(stars=n % 5, book_id=n % 7 + 1) for n in range(40_000))
    writer.commit()
    list(writer.query(Review).include("book").limit(10).stream())
    tracemalloc.start()
    total = 0
    for review in writer.query(Review).include("book").stream(size=500):
        total += review.stars
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total > 0
    assert peak < 4_000_000  # all at once take 7 MB
    assert len(writer.identity.get(Review, ())) <= 10


def test_a_stream_can_be_left_early(writer: Session) -> None:
    stream = writer.query(Book).order_by("id").stream(size=1)
    assert next(stream).id == 1
    stream.close()
    writer.add(Tag(name="after"))
    writer.commit()
    assert writer.query(Tag).where(Tag.name == "after").count() == 1
    with pytest.raises(QueryError, match="query"):
        next(writer.stream("SELECT 1"))


def test_a_streamed_object_can_be_changed(writer: Session) -> None:
    for book in writer.query(Book).where(Book.id < 3).stream(size=1):
        book.pages = 1000 + book.id
    writer.commit()
    assert writer.query(Book.pages).where(Book.pages > 1000).order_by("pages").scalars() == [1001, 1002]
    with pytest.raises(NoResultError):
        writer.query(Book).where(Book.pages == 5).one()


def test_a_bulk_operation_names_a_related_object_that_is_not_saved(writer: Session) -> None:
    book = Book(title="x", pages=1, price=Decimal("1"), author=Author(name="unsaved"))
    with pytest.raises(QueryError, match=r"Book\.author is given a Author that has no key yet.*flush"):
        writer.bulk_insert([book])
    assert writer.query(Book).where(Book.title == "x").count() == 0
