"""Keyset paging: paginate(size, after=cursor)."""

from __future__ import annotations

import base64
import json
from typing import Any
from zlib import crc32

import pytest

from blaze import Page, QueryError, Select, Session, func
from tests.query.conftest import Both
from tests.query.models import Author, Book, Copy, Edition, Publisher, Review, Tag

ORDERS = [
    lambda: (),
    lambda: (Book.price,),
    lambda: (Book.price.desc(),),
    lambda: ("-pages",),
    lambda: (Book.author_id, Book.id.desc()),
    lambda: (Book.author_id.desc(), Book.price),
    lambda: (Book.rating,),
    lambda: (Book.rating.desc(),),
    lambda: (Book.rating.asc().nulls_last(),),
    lambda: (Book.rating.desc().nulls_first(), Book.title),
    lambda: (Book.published.desc(), "id"),
    lambda: (Book.in_print, Book.genre),
    lambda: (Book.author.name, Book.title.desc()),
    lambda: (Book.editor.name,),
    lambda: (func.length(Book.title), Book.title),
    lambda: (Book.publisher.country.desc(),),
    lambda: (Book.rating == None, Book.rating),  # noqa: E711
    lambda: ((Book.editor_id == None).desc(), Book.id),  # noqa: E711
    lambda: (Book.rating.is_not(None), Book.price > 10, Book.id.desc()),
    lambda: (Book.editor_id.in_([1, 2]).desc(), ~(Book.rating > 3)),
]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_pages_forth_and_back_cover_everything_once(session: Session, order: Any, size: int) -> None:
    query = session.query(Book).order_by(*order())
    whole = [book.id for book in query.order_by(Book.id).all()]
    pages: list[Page[Book]] = [query.paginate(size)]
    while pages[-1].next is not None:
        pages.append(query.paginate(size, after=pages[-1].next))
    assert [book.id for page in pages for book in page.items] == whole
    assert pages[0].previous is None
    assert all(len(page.items) == size for page in pages[:-1])
    page = pages[-1]
    for expected in reversed(pages[:-1]):
        assert page.previous is not None
        page = query.paginate(size, after=page.previous)
        assert [book.id for book in page.items] == [book.id for book in expected.items]
        assert page.next is not None
    assert page.previous is None


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_columns_of_a_left_join_may_be_missing(session: Session, size: int, descending: bool) -> None:
    key = Publisher.country.desc() if descending else Publisher.country.asc()
    query = session.query(Book).left_join(Book.publisher).order_by(key)
    whole = [book.id for book in query.order_by(Book.id).all()]
    assert len(whole) == session.query(Book).count()
    found: list[int] = []
    page = query.paginate(size)
    while True:
        found += [book.id for book in page]
        if page.next is None:
            break
        page = query.paginate(size, after=page.next)
    assert found == whole


def test_the_order_is_that_of_the_plain_query(session: Session) -> None:
    for order in ORDERS:
        query = session.query(Book).order_by(*order())
        assert [b.id for b in query.paginate(100)] == [b.id for b in query.order_by(Book.id).all()]


async def test_paging_in_both_sessions(both: Both) -> None:
    query = both.query(Book).where(Book.pages > 20).include("author").order_by("-price")
    first = await both(query.paginate(4))
    assert [book.author.name for book in first] == ["Octavia", "Ursula", "Italo", "Ursula"]
    second = await both(query.paginate(4, after=first.next))
    assert [book.id for book in second.items] == [7, 2]
    assert (len(second), second.next) == (2, None)
    assert both.session.dirty == []


def test_rows_are_paged_too(session: Session) -> None:
    query = session.query(Book.title, Book.author.name.label("by")).order_by("by", Book.title)
    first = query.paginate(3)
    assert first.items == [
        ("100% Cotton_Wool", "Italo"), ("Invisible Cities", "Italo"), ("Kindred", "Octavia"),
    ]  # fmt: skip
    assert first.items[0].by == "Italo"
    assert len(first.items[0]) == 2
    assert query.paginate(3, after=first.next).items[0] == ("The Dispossessed", "Ursula")
    joined = session.query(Author.name, Review.stars).join(Author.books.reviews).order_by(Author.name)
    seen: list[Any] = []
    cursor = None
    while True:
        page = joined.paginate(2, after=cursor)
        seen += page.items
        cursor = page.next
        if cursor is None:
            break
    assert sorted(seen) == sorted(joined.all())


def test_composite_keys_break_ties(session: Session) -> None:
    query = session.query(Edition).order_by(Edition.code)
    first = query.paginate(1)
    second = query.paginate(1, after=first.next)
    assert [(e.code, e.number) for e in (*first, *second)] == [("A", 1), ("A", 2)]
    query = session.query(Copy).order_by(Copy.edition.year.desc())
    assert [c.id for c in query.paginate(5)] == [5, 2, 3, 1, 4]


def test_rows_that_come_and_go_do_not_shift_pages(writer: Session) -> None:
    query = writer.query(Tag).order_by(Tag.name)
    first = query.paginate(2)
    assert [tag.name for tag in first] == ["classic", "sf"]
    writer.add(Tag(name="aaa"))
    writer.query(Tag).where(Tag.name == "sf").delete()
    assert [tag.name for tag in query.paginate(2, after=first.next)] == ["short", "unused"]


def test_a_page_beyond_the_end(writer: Session) -> None:
    query = writer.query(Tag).order_by(Tag.name)
    first = query.paginate(2)
    writer.query(Tag).where(Tag.name > "sf").delete()
    page = query.paginate(2, after=first.next)
    assert (page.items, page.next) == ([], None)
    assert page.previous is not None
    assert [tag.name for tag in query.paginate(2, after=page.previous)] == ["classic"]


def test_no_rows_make_an_empty_page(session: Session) -> None:
    page = session.query(Book).where(Book.id == 99).paginate(5)
    assert (page.items, page.next, page.previous, len(page)) == ([], None, None, 0)
    assert "0 items" in repr(page)


def test_paging_reads_an_index_instead_of_sorting(session: Session) -> None:
    page = session.query(Author).order_by(Author.name).paginate(2)
    assert page.next is not None
    before = session.query_stats().total
    session.query(Author).order_by(Author.name).paginate(2, after=page.next)
    assert session.query_stats().total == before + 1


def test_an_unbound_query_gives_a_plan(session: Session) -> None:
    (page,) = session.parallel_exec([Select(Book).order_by(Book.id).paginate(2)])
    assert [book.id for book in page] == [1, 2]


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "!!!", "é", "W10", "bnVsbA", "e30", "WzEsMl0", "WzEsMiwzLDRd", "=" * 8, "A" * 5000, 5, b"x"],
)
def test_what_is_no_cursor_is_refused(session: Session, cursor: Any) -> None:
    with pytest.raises(QueryError, match="cursor"):
        session.query(Book).order_by(Book.price).paginate(2, after=cursor)


def test_a_cursor_of_another_order_is_refused(session: Session) -> None:
    cursor = session.query(Book).order_by(Book.price).paginate(2).next
    assert cursor is not None
    for other in (session.query(Book), session.query(Book).order_by("-price"), session.query(Author)):
        with pytest.raises(QueryError, match="another"):
            other.paginate(2, after=cursor)


def opened(cursor: str) -> bytes:
    return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))


def test_a_changed_cursor_is_refused(session: Session) -> None:
    query = session.query(Book).order_by(Book.price.desc(), Book.rating)
    cursor = query.paginate(2).next
    assert cursor is not None
    raw = opened(cursor)
    for place in range(len(raw)):
        changed = base64.urlsafe_b64encode(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        with pytest.raises(QueryError, match="is no cursor"):
            query.paginate(2, after=changed.decode())
    for length in range(len(cursor)):
        with pytest.raises(QueryError, match="is no cursor"):
            query.paginate(2, after=cursor[:length])
    assert query.paginate(2, after=cursor).items


def test_a_forged_cursor_cannot_do_more_than_a_condition(session: Session) -> None:
    cursor = session.query(Book).order_by(Book.title).paginate(2).next
    assert cursor is not None
    data = json.loads(opened(cursor)[4:])
    for forged in ("' OR 1=1 --", 5, None, ["n", "1"], ["z", "1"], [], {}, ["e", "X"], [["n"], 1]):
        raw = json.dumps([*data[:2], forged, *data[3:]]).encode()
        text = base64.urlsafe_b64encode(crc32(raw).to_bytes(4, "big") + raw).decode()
        try:
            page = session.query(Book).order_by(Book.title).paginate(2, after=text)
        except QueryError:
            continue
        assert len(page.items) <= 2


@pytest.mark.parametrize("size", [0, -1, "5", 1.5, True, None])
def test_a_page_has_a_size(session: Session, size: Any) -> None:
    with pytest.raises(QueryError, match="size"):
        session.query(Book).paginate(size)


def test_what_cannot_be_paged(session: Session) -> None:
    query = session.query(Book)
    for bad in (
        query.limit(5),
        query.offset(5),
        query.distinct(),
        query.union(query),
        session.query(Book.author_id).group_by(Book.author_id),
        session.query(Author).join(Author.books),
        session.query(Book.id).order_by(func.row_number().over(order_by=Book.price)),
        session.query(Book.id, func.row_number().over(order_by=Book.price).label("place")).order_by("place"),
    ):
        with pytest.raises(QueryError, match="paginate"):
            bad.paginate(2)
    with pytest.raises(QueryError, match="page by"):
        query.order_by(Book.meta).paginate(1)
