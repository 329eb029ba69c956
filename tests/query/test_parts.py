"""Parts of relations: include with filters, order and a limit for each owner."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import AsyncSession, Engine, NotLoadedError, QueryError, Select, Session
from tests.query.conftest import Both
from tests.query.models import BOOKS, Author, Book, Copy, Edition, Review, Tag
from tests.query.test_related import statements


def ids(objects: Any) -> list[int]:
    return [o.id for o in objects]


@pytest.mark.requirement("R60", "R61")
async def test_a_part_costs_one_statement_and_leaves_the_list_alone(both: Both) -> None:
    with statements(both.session, 2):
        authors = await both(
            both.query(Author).include(long=Author.books.where(Book.pages > 180)).order_by("id").all()
        )
        assert [sorted(ids(a.long)) for a in authors] == [[1, 2, 3], [], [6], [7], []]
        assert all(type(a.long) is tuple for a in authors)
    await both(both.session.load(authors, Author.books))
    assert [len(a.books) for a in authors] == [3, 2, 1, 1, 0]
    assert authors[0].long[0] in authors[0].books, "the same objects"
    with pytest.raises(AttributeError, match="append"):
        authors[0].long.append(Book())


@pytest.mark.requirement("R60", "R61")
async def test_order_and_limit_hold_for_each_owner(both: Both) -> None:
    part = Author.books.where(Book.pages > 5).order_by(Book.price.desc()).limit(2)
    with statements(both.session, 2):
        authors = await both(both.query(Author).include(dear=part).order_by("id").all())
        assert [ids(a.dear) for a in authors] == [[3, 1], [4, 5], [6], [7], []]
    cheap = Author.books.limit(1).order_by(Book.price)
    authors = await both(both.query(Author).include(cheap=cheap).order_by("id").all())
    assert [ids(a.cheap) for a in authors] == [[2], [5], [6], [7], []]
    assert ids(authors[0].dear) == [3, 1], "what another query has loaded stays"
    first = await both(both.query(Author).include(two=Author.books.limit(2)).order_by("id").first())
    assert ids(first.two) == [1, 2], "in the order of the key where none is given"
    none = await both(both.query(Author).include(no=Author.books.limit(0)).first())
    assert none.no == ()


async def test_parts_of_many_to_many_relations(both: Both) -> None:
    part = Tag.books.where(Book.price > 8).order_by(Book.id.desc()).limit(2)
    with statements(both.session, 3):
        tags = await both(
            both.query(Tag).include(Tag.books, some=part, none=Tag.books.limit(0)).order_by("id").all()
        )
        assert [ids(t.some) for t in tags] == [[6, 1], [6, 4], [6, 4], []]
        assert all(set(t.some) <= set(t.books) for t in tags)
        assert [t.none for t in tags] == [()] * 4
    books = await both(both.query(Book).include(named=Book.tags.where(Tag.name > "d")).order_by("id").all())
    expected = [[t for t in row[12] if t in (1, 3)] for row in BOOKS]
    assert [sorted(ids(b.named)) for b in books] == expected


async def test_parts_of_composite_keys(both: Both) -> None:
    part = Edition.copies.order_by(Copy.id.desc()).limit(1)
    editions = await both(both.query(Edition).include(last=part).order_by("code", "number").all())
    assert [ids(e.last) for e in editions] == [[1], [3], [5]]


async def test_relations_below_a_part_and_parts_below_relations(both: Both) -> None:
    best = Book.reviews.where(Review.stars >= 4).order_by(Review.stars.desc())
    part = Author.books.where(Book.pages > 180).include(Book.tags, "publisher", best=best)
    with statements(both.session, 5):
        authors = await both(both.query(Author).include(long=part).where(Author.id < 4).order_by("id").all())
        assert {b.id: sorted(ids(b.tags)) for a in authors for b in a.long}[1] == [1, 2]
        stars = {b.id: [r.stars for r in b.best] for a in authors for b in a.long}
        assert stars == {1: [5, 4], 2: [], 3: [], 6: [4]}
        assert {b.id: b.publisher and b.publisher.name for a in authors for b in a.long}[1] == "Ace"
    with statements(both.session, 3):
        authors = await both(
            both.query(Author).include(good=Author.books.reviews.where(Review.stars > 3)).order_by("id").all()
        )
        assert [[len(b.good) for b in a.books] for a in authors] == [[2, 0, 0], [2, 0], [1], [0], []]


async def test_conditions_of_parts_may_go_over_relations(both: Both) -> None:
    part = Author.books.where(Book.tags.name == "sf", Book.publisher.country == "US")
    authors = await both(both.query(Author).include(sf=part).order_by("id").all())
    assert [sorted(ids(a.sf)) for a in authors] == [[1, 2], [], [], [], []]


async def test_values_of_parts_are_not_mixed_up(both: Both) -> None:
    for pages, expected in ((180, [1, 2, 3]), (300, [1, 3]), (1000, [])):
        part = Author.books.where(Book.pages > pages)
        author = await both(both.query(Author).include(long=part).where(Author.id == 1).one())
        assert sorted(ids(author.long)) == expected


async def test_pages_unions_and_unbound_queries_include_parts(both: Both) -> None:
    part = Author.books.order_by(Book.id).limit(1)
    page = await both(both.query(Author).order_by("id").include(one=part).paginate(2))
    assert [ids(a.one) for a in page] == [[1], [4]]
    found = await both((await both(both.session.exec(Select(Author).include(one=part)))).all())
    assert len(found) == 5
    union = both.query(Author).where(Author.id == 1).union(Select(Author).where(Author.id == 2))
    assert sorted(len(a.one) for a in await both(union.include(one=part).all())) == [1, 1]
    with statements(both.session, 1):
        assert await both(both.query(Author).where(Author.id == 99).include(one=part).all()) == []
    assert await both(both.query(Author).include(one=part).count()) == 5


def test_a_part_is_written_after_what_is_pending(writer: Session) -> None:
    author = writer.get_one(Author, 5)
    writer.add(Book(title="New", pages=1, price=1, author=author))  # type: ignore[arg-type]
    found = writer.query(Author).include(some=Author.books.limit(5)).where(Author.id == 5).one()
    assert [book.title for book in found.some] == ["New"]
    assert found.some[0].author is found


def test_streams_include_parts(library: Engine) -> None:
    with Session(library) as session:
        part = Author.books.order_by(Book.id).limit(1)
        found = [ids(a.one) for a in session.query(Author).order_by("id").include(one=part).stream(2)]
        assert found == [[1], [4], [6], [7], []]


async def test_async_streams_include_parts(engine: Engine) -> None:
    async with AsyncSession(engine) as session:
        part = Author.books.order_by(Book.id).limit(1)
        query = session.query(Author).order_by("id").include("profile", one=part)
        found = [(ids(a.one), a.profile is not None) async for a in query.stream(2)]
        assert found == [([1], True), ([4], True), ([6], False), ([7], False), ([], False)]
    await engine.adispose()


def test_a_missing_part_is_an_unknown_attribute(session: Session) -> None:
    author = session.query(Author).include(some=Author.books.limit(1)).first()
    assert author is not None
    with pytest.raises(AttributeError, match="summ"):
        _ = author.summ
    assert author.to_dict().keys() == {"id", "name", "email", "born", "mentor_id"}
    assert session.dirty == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda q: q.include(Author.books.limit(1)), "needs a name"),
        (lambda q: q.include(books=Author.books.limit(1)), "has a field"),
        (lambda q: q.include(save=Author.books), "whole relation needs no name"),
        (lambda q: q.include(to_dict=Author.books.limit(1)), "keeps that name"),
        (lambda q: q.include(some=Book.tags.limit(1)), "does not start at Author"),
        (lambda q: q.include(some=Author.books.where(Author.name == "x")), "starts at Book"),
        (lambda q: q.include(some=Author.books.where(Author.books.pages > 1)), "starts at Book"),
        (lambda q: q.include(some=Author.books.where(True)), "expressions of Book"),
        (lambda q: q.include(some=Author.books.order_by("price")), "expressions of Book"),
        (lambda q: q.include(some=Author.books.limit(-1)), "whole number"),
        (lambda q: q.include(some=Author.mentor.where(Author.id == 1)), "leads to one object"),
    ],
)
def test_parts_that_cannot_be(session: Session, make: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        make(session.query(Author))


def test_a_part_is_never_the_list(library: Engine) -> None:
    with Session(library, lazy="raise") as session:
        author = session.query(Author).include(some=Author.books.limit(1)).first()
        assert author is not None
        assert len(author.some) == 1
        with pytest.raises(NotLoadedError):
            len(author.books)
        session.load(author, Author.books)
        assert len(author.books) == 3
