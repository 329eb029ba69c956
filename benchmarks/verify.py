"""Prove that every contender handled the same data: what it read or wrote, against the generator's values."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from benchmarks.contenders.contender import Contender
from benchmarks.data import ITEM_COLUMNS, Library, Row

Rows = list[Any]
TYPES: tuple[Any, ...] = (int, int, str, int, float, bool, datetime, Decimal, (str, type(None)), dict)


class DataDiffersError(Exception):
    """A contender read or stored something else than the others."""


def normal_item(values: Iterable[Any]) -> tuple[Any, ...]:
    """Check the types of an item's values and make them comparable: UTC datetimes, prices of two digits."""
    id, rank, name, quantity, ratio, active, created, price, note, meta = row = tuple(values)
    for column, value, expected in zip(ITEM_COLUMNS, row, TYPES):
        if not isinstance(value, expected):
            raise DataDiffersError(
                f"item.{column} is {value!r} ({type(value).__name__}), expected {expected}"
            )
    created = (
        created.replace(tzinfo=timezone.utc) if created.tzinfo is None else created.astimezone(timezone.utc)
    )
    two_digits = price.quantize(Decimal("0.01"))
    if two_digits != price:
        raise DataDiffersError(f"item.price is {price!r}, not a number of two decimals")
    return (
        id,
        rank,
        name,
        quantity,
        ratio,
        active,
        created.isoformat(),
        str(two_digits),
        note,
        sorted(meta.items()),
    )


def objects(items: Iterable[Any]) -> Rows:
    """Normalise item objects by their attributes."""
    return [normal_item(getattr(item, column) for column in ITEM_COLUMNS) for item in items]


def rows_with_ids(rows: list[Row]) -> Rows:
    """Normalise generated rows, ids counting from 1: what a full table holds."""
    return [normal_item((key, *row.values())) for key, row in enumerate(rows, 1)]


def table(contender: Contender) -> Rows:
    """Normalise what the contender's table holds, read by the plain driver."""
    return [normal_item(row) for row in contender.database.stored_items()]


def table_and_keys(contender: Contender, stored: Iterable[Any]) -> Rows:
    """As `table`, after checking that the saved objects got the keys their rows have."""
    rows = table(contender)
    if [(item.id, item.name) for item in stored] != [(row[0], row[2]) for row in rows]:
        raise DataDiffersError("the keys of the saved objects are not those of their rows")
    return rows


# related objects: nested tuples, in key order


def joined(books: Iterable[Any]) -> Rows:
    return sorted((b.id, b.title, b.pages, b.author.id, b.author.name, b.author.born) for b in books)


def joined_expected(library: Library) -> Rows:
    authors = {author["id"]: author for author in library.authors}
    return [
        (b["id"], b["title"], b["pages"], b["author_id"], author["name"], author["born"])
        for b in library.books
        for author in [authors[b["author_id"]]]
    ]


def with_books(authors: Iterable[Any]) -> Rows:
    return sorted((a.id, a.name, a.born, sorted((b.id, b.title, b.pages) for b in a.books)) for a in authors)


def with_books_expected(library: Library) -> Rows:
    books: dict[int, Rows] = {author["id"]: [] for author in library.authors}
    for book in library.books:
        books[book["author_id"]].append((book["id"], book["title"], book["pages"]))
    return [(a["id"], a["name"], a["born"], books[a["id"]]) for a in library.authors]


def nested(publishers: Iterable[Any]) -> Rows:
    return sorted((p.id, p.name, with_books(p.authors)) for p in publishers)


def nested_expected(library: Library) -> Rows:
    authors: dict[int, Rows] = {publisher["id"]: [] for publisher in library.publishers}
    for author, row in zip(library.authors, with_books_expected(library)):
        authors[author["publisher_id"]].append(row)
    return [(p["id"], p["name"], authors[p["id"]]) for p in library.publishers]


def tagged(contender: Contender, books: Iterable[Any]) -> Rows:
    return sorted((b.id, b.title, sorted((t.id, t.name) for t in contender.tags_of(b))) for b in books)


def tagged_expected(library: Library) -> Rows:
    tags: dict[int, Rows] = {book["id"]: [] for book in library.books}
    for link in library.links:
        tags[link["book_id"]].append((link["tag_id"], f"tag {link['tag_id']}"))
    return [(b["id"], b["title"], sorted(tags[b["id"]])) for b in library.books]


def query_result(contender: Contender, query: tuple[str, Any]) -> Rows:
    """Run the built query with the plain driver: which books it finds."""
    return contender.database.query_keys(*query)


def query_expected(library: Library, pages: int, born: int) -> Rows:
    publishers = {p["id"] for p in library.publishers if p["country_id"] == 2 and p["name"] != "publisher 1"}
    authors = {
        a["id"]
        for a in library.authors
        if a["born"] < born and a["name"] != "author 1" and a["publisher_id"] in publishers
    }
    return [b["id"] for b in library.books if b["pages"] > pages and b["author_id"] in authors]


def digest(rows: Rows) -> str:
    """Return the fingerprint of normalised rows."""
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


class Expected:
    """What is right for every contender, its fingerprint taken once."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.digest = digest(rows)


def check(scenario: str, contender: Contender, observe: Callable[[], Rows], expected: Expected) -> str:
    """Return the digest of what the contender did; DataDiffersError where it is not what is expected."""
    try:
        rows = observe()
    except DataDiffersError as error:
        raise DataDiffersError(f"{scenario}, {contender.name}: {error}") from error
    found = digest(rows)
    if found == expected.digest:
        return found
    if len(rows) != len(expected.rows):
        raise DataDiffersError(
            f"{scenario}, {contender.name}: {len(rows)} rows instead of {len(expected.rows)}"
        )
    place, row, wanted = next(
        (place, row, wanted)
        for place, (row, wanted) in enumerate(zip(rows, expected.rows))
        if repr(row) != repr(wanted)
    )
    raise DataDiffersError(f"{scenario}, {contender.name}: row {place} is {row!r}, expected {wanted!r}")
