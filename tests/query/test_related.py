"""Relations loaded with a query: select_related, prefetch_related, include, lazy access; deferred columns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from blaze import NotLoadedError, QueryError, Session, func
from tests.query.conftest import Both
from tests.query.models import (
    AUTHORS,
    BOOKS,
    COPIES,
    Author,
    Book,
    Copy,
    Edition,
    Profile,
    Publisher,
    Review,
    Tag,
)


@contextmanager
def statements(session: Any, expected: int) -> Iterator[None]:
    """Expect a number of statements in the block."""
    before = session.query_stats().total
    yield
    assert session.query_stats().total - before == expected


TAGS_OF = {row[0]: row[12] for row in BOOKS}


@pytest.mark.requirement("R55")
async def test_select_related_needs_one_statement(both: Both) -> None:
    with statements(both.session, 1):
        books = await both(
            both.query(Book).select_related("author", Book.editor, "publisher").order_by("id").all()
        )
        assert [book.author.name for book in books[:4]] == ["Ursula", "Ursula", "Ursula", "Italo"]
        assert [b.editor.name if b.editor else None for b in books[:3]] == ["Italo", None, "Octavia"]
        assert [b.publisher.name if b.publisher else None for b in books[:3]] == ["Ace", "Ace", None]
    assert books[0].author is books[1].author is books[3].editor


async def test_select_related_nests(both: Both) -> None:
    with statements(both.session, 1):
        books = await both(
            both.query(Book).select_related("author__mentor__mentor", "editor").order_by("id").all()
        )
        assert books[6].author.mentor.mentor.name == "Ursula"
        assert books[0].author.mentor is None
    assert books[3].author.mentor is books[0].author


async def test_select_related_loads_a_reverse_one_to_one_relation(both: Both) -> None:
    with statements(both.session, 1):
        authors = await both(both.query(Author).select_related("profile").order_by("id").all())
        assert [a.profile.id if a.profile else None for a in authors] == [9, 8, None, None, None]
        assert authors[0].profile.author is authors[0]
    with statements(both.session, 1):
        books = await both(both.query(Book).select_related("author__profile").where(Book.id == 1).all())
        assert books[0].author.profile.bio == "born in Berkeley"


def test_select_related_with_conditions_on_the_same_tables(session: Session) -> None:
    query = session.query(Book).select_related("author", "editor").where(Book.id == 4, Book.editor.id == 1)
    assert query.where(Book.author.name == "Italo").order_by("author__name").one().editor.name == "Ursula"
    joined = session.query(Book).join(Book.author).select_related("author").where(Author.name == "Italo")
    assert [b.author.name for b in joined.order_by("id").all()] == ["Italo", "Italo"]
    assert joined.to_sql()[0].count("JOIN") == 1


@pytest.mark.requirement("R56")
def test_select_related_refuses_what_has_many_rows(session: Session) -> None:
    for path in ("tags", "reviews", "author__books"):
        with pytest.raises(QueryError, match="prefetch_related"):
            session.query(Book).select_related(path)
    with pytest.raises(QueryError, match="author"):
        session.query(Book).select_related("autor")
    with pytest.raises(QueryError, match="relation"):
        session.query(Book).select_related("title")
    with pytest.raises(QueryError, match="Book"):
        session.query(Book).select_related(Review.book)
    with pytest.raises(QueryError, match="objects"):
        session.query(Book.title).select_related("author")


@pytest.mark.requirement("R57", "R58", "R59", "R61")
@pytest.mark.parametrize("method", ["include", "prefetch_related"])
async def test_one_statement_for_each_relation(both: Both, method: str) -> None:
    query = getattr(both.query(Book).order_by("id"), method)(
        "author", "editor", "tags", "reviews", "publisher"
    )
    with statements(both.session, 5):  # all editors are authors that are there by then
        books = await both(query.all())
        assert [book.author_id for book in books] == [book.author.id for book in books]
        assert [[tag.id for tag in book.tags] for book in books] == [TAGS_OF[book.id] for book in books]
        assert [sorted(r.stars for r in book.reviews) for book in books] == [sorted(row[13]) for row in BOOKS]
        assert books[2].publisher is None
        assert books[0].reviews[0].book is books[0]


async def test_nested_relations(both: Both) -> None:
    with statements(both.session, 4):
        tags = await both(both.query(Tag).include("books__author__profile").order_by("id").all())
        assert [book.author.name for book in tags[1].books] == ["Ursula", "Italo", "Octavia"]
        assert tags[0].books[0].author.profile.id == 9
        assert len(tags[3].books) == 0
    with statements(both.session, 3):
        authors = await both(
            both.query(Author).include(Author.books.reviews, Author.books).order_by(Author.id).all()
        )
        assert [sum(r.stars for b in a.books for r in b.reviews) for a in authors] == [12, 11, 4, 4, 0]


async def test_a_relation_and_its_way_back(both: Both) -> None:
    with statements(both.session, 3):
        books = await both(both.query(Book).prefetch_related("author__books").where(Book.id == 1).all())
        assert sorted(b.id for b in books[0].author.books) == [1, 2, 3]
    assert books[0] in books[0].author.books


@pytest.mark.requirement("R60")
async def test_the_number_of_rows_does_not_matter(both: Both) -> None:
    with statements(both.session, 2):
        copies = await both(both.query(Copy).include(Copy.edition).order_by("id").all())
        assert [c.edition and (c.edition.code, c.edition.number) for c in copies] == [c[2] for c in COPIES]
    with statements(both.session, 2):
        editions = await both(both.query(Edition).include(Edition.copies).order_by("code", "number").all())
        assert [[c.id for c in e.copies] for e in editions] == [[1], [2, 3], [5]]


def test_hundreds_of_composite_keys_need_one_statement(writer: Session) -> None:
    writer.bulk_insert([Edition(code="Z", number=n, year=n) for n in range(700)])
    writer.bulk_insert([Copy(shelf="z", edition=Edition(code="Z", number=n, year=n)) for n in range(700)])
    with statements(writer, 2):
        copies = writer.query(Copy).where(Copy.edition.code == "Z").include("edition").all()
        assert all(copy.edition.year == copy.edition_number for copy in copies)
    writer.commit()
    with statements(writer, 2):
        editions = writer.query(Edition).include("copies").where(Edition.code == "Z").all()
        assert all(len(edition.copies) == 1 for edition in editions)


def test_including_nothing_costs_nothing(session: Session) -> None:
    with statements(session, 1):
        assert session.query(Book).where(Book.id == 99).include("author", "tags").all() == []
    with statements(session, 1):
        assert session.query(Book).where(Book.id == 2).include("editor").one().editor is None


def test_include_after_select_related_goes_on_from_there(session: Session) -> None:
    with statements(session, 2):
        books = session.query(Book).select_related("author").include("author__books").order_by("id").all()
        assert [len(b.author.books) for b in books] == [3, 3, 3, 2, 2, 1, 1]


def test_included_objects_are_the_objects_that_are_there(session: Session) -> None:
    ursula = session.get_one(Author, 1)
    books = session.query(Book).include("author", "editor").where(Book.id.in_([1, 4])).order_by("id").all()
    assert books[0].author is ursula
    assert books[1].editor is ursula
    tags = session.query(Tag).include("books").order_by("id").all()
    assert tags[0].books[0] is books[0]


def test_what_was_loaded_is_not_loaded_again(session: Session) -> None:
    query = session.query(Book).include("author", "tags").order_by("id")
    query.all()
    with statements(session, 1):
        query.all()


@pytest.mark.requirement("R59")
def test_lazy_access_loads_for_the_whole_result(session: Session) -> None:
    with statements(session, 2):
        assert [b.author.name for b in session.query(Book).order_by("id").all()][3] == "Italo"
    with statements(session, 2):
        assert [len(t.books) for t in session.query(Tag).order_by("id").all()] == [3, 3, 3, 0]
    session.expunge(session.get_one(Author, 1))


def test_lazy_access_within_lazily_loaded_objects(library: Any) -> None:
    with Session(library) as session, statements(session, 4):
        total = 0
        for author in session.query(Author).order_by("id").all():
            for book in author.books:
                total += sum(review.stars for review in book.reviews)
                total += len(book.tags)
        assert total == 31 + sum(len(row[12]) for row in BOOKS)


def test_lazy_access_to_reverse_one_to_one(library: Any) -> None:
    with Session(library) as session, statements(session, 2):
        found = session.query(Author).order_by("id").all()
        assert [a.profile is not None for a in found] == [True, True, False, False, False]


async def test_lazy_access_can_be_forbidden(both: Both) -> None:
    books = await both(both.query(Book).lazy("raise").include("tags").order_by("id").all())
    assert len(books[0].tags) == 2
    with pytest.raises(NotLoadedError, match=r"include\(Book\.author\)"):
        _ = books[0].author
    with pytest.raises(NotLoadedError, match=r"include\(Book\.reviews\)"):
        len(books[0].reviews)
    await both(both.session.load(books[0], Book.author))
    assert books[0].author.name == "Ursula"
    with pytest.raises(QueryError, match="raise"):
        both.query(Book).lazy("never")


def test_lazy_access_forbidden_for_a_session(library: Any) -> None:
    with Session(library, lazy="raise") as session:
        book = session.query(Book).first()
        assert book is not None
        with pytest.raises(NotLoadedError, match="raise"):
            _ = book.author
        session.load(book, Book.author)
        assert book.author.id == 1


async def test_only_and_defer(both: Both) -> None:
    books = await both(both.query(Book).only("title", Book.pages).order_by("id").all())
    with statements(both.session, 0):
        assert books[0].id == 1
        assert books[0].title == "The Dispossessed"
        assert books[0].pages == 387
    with statements(both.session, 1):
        if isinstance(both.session, Session):
            assert [b.price is not None for b in books] == [True] * 7
        else:
            with pytest.raises(NotLoadedError, match="price"):
                _ = books[0].price
            await both.session.load(books, Book.price)
            assert str(books[0].price) == "9.99"
    assert both.session.dirty == []


def test_deferred_columns_load_for_all_siblings(library: Any) -> None:
    with Session(library) as session:
        books = session.query(Book).defer("meta", "title", "rating").order_by("id").all()
        with statements(session, 1):
            assert [b.title for b in books][5] == "Kindred"
        with statements(session, 1):
            assert next(b.meta for b in books) == {"lang": "en"}
        with statements(session, 1):
            assert [b.rating for b in books] == [row[4] for row in BOOKS]
        assert session.dirty == []
    with Session(library) as session:
        sql, _ = session.query(Book).defer("meta").to_sql()
        assert '"meta"' not in sql
        sql, _ = session.query(Book).only("title").to_sql()
        assert sql.startswith('SELECT "book"."id", "book"."title" FROM')


def test_a_deferred_column_can_be_assigned_without_loading(writer: Session) -> None:
    book = writer.query(Book).only("title").where(Book.id == 1).one()
    with statements(writer, 0):
        book.pages = 1
    writer.commit()
    assert writer.exec_scalar("SELECT pages FROM book WHERE id = 1") == 1
    assert writer.exec_scalar("SELECT title FROM book WHERE id = 1") == "The Dispossessed"


def test_only_takes_columns(session: Session) -> None:
    for method in ("only", "defer"):
        with pytest.raises(QueryError, match="column"):
            getattr(session.query(Book), method)("author")
        with pytest.raises(QueryError, match="title"):
            getattr(session.query(Book), method)("titel")
        with pytest.raises(QueryError, match="Book"):
            getattr(session.query(Book), method)(Author.name)


def test_a_full_load_completes_a_partial_object(library: Any) -> None:
    with Session(library) as session:
        book = session.query(Book).only("title").where(Book.id == 1).one()
        again = session.query(Book).where(Book.id == 1).one()
        assert again is book
        assert book.pages == 387


def test_distinct_parents_of_an_explicit_join(session: Session) -> None:
    query = session.query(Author).join(Author.books).where(Book.pages > 1)
    assert len(query.all()) == 7
    assert len(query.distinct().all()) == 4
    assert len(query.distinct().include("books").all()) == 4


async def test_include_with_annotations_and_limits(both: Both) -> None:
    with statements(both.session, 2):
        authors = await both(
            both.query(Author)
            .annotate(n=func.count(Author.books.id))
            .include("books")
            .order_by("-n")
            .limit(2)
            .all()
        )
        assert [(a.n, len(a.books)) for a in authors] == [(3, 3), (2, 2)]


async def test_first_and_one_include_too(both: Both) -> None:
    with statements(both.session, 2):
        author = await both(both.query(Author).include("books").order_by("id").first())
        assert len(author.books) == 3
    with statements(both.session, 2):
        publisher = await both(both.query(Publisher).include("books").where(Publisher.id == 1).one())
        assert len(publisher.books) == 2
    with statements(both.session, 3):
        profile = await both(both.query(Profile).include("author__books").where(Profile.id == 8).one())
        assert len(profile.author.books) == 2


def test_all_authors_are_there() -> None:
    assert len(AUTHORS) == 5
