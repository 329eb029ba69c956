"""Make the logical data that every contender stores and reads: the same on every machine and Python."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

Row = dict[str, Any]

ITEM_COLUMNS = ("id", "rank", "name", "quantity", "ratio", "active", "created", "price", "note", "meta")
COLORS = ("red", "green", "blue", "black")


def item_rows(count: int, *, aware: bool = True, start: int = 0) -> list[Row]:
    """Return `count` rows without id; `rank` counts from `start`, datetimes are UTC, naive unless `aware`."""
    chance = random.Random(1966 + start)
    epoch = datetime(2020, 1, 1, 0, 0, 0, 1, tzinfo=timezone.utc if aware else None)
    return [
        {
            "rank": rank,
            "name": f"item number {rank}",
            "quantity": chance.randrange(1000),
            "ratio": chance.random(),
            "active": rank % 3 != 0,
            "created": epoch + timedelta(seconds=rank * 777, microseconds=chance.randrange(1_000_000)),
            "price": Decimal(chance.randrange(1, 100_000)).scaleb(-2),
            "note": f"note {rank}" if rank % 3 == 0 else None,
            "meta": {"color": COLORS[rank % 4], "size": rank % 50},
        }
        for rank in range(start, start + count)
    ]


@dataclass(frozen=True)
class Library:
    """Related tables as lists of dicts with ids: country < publisher < author < book, and tags of books."""

    countries: list[Row]
    publishers: list[Row]
    authors: list[Row]
    books: list[Row]
    tags: list[Row]
    links: list[Row]


def library(publishers: int, authors: int, books: int, tags: int = 0) -> Library:
    """Build a library of `publishers`, `authors` per publisher, `books` per author and `tags` per book."""
    countries = 10
    author_count = publishers * authors
    book_count = author_count * books
    tag_count = 100 if tags else 0
    return Library(
        countries=[{"id": i, "name": f"country {i}"} for i in range(1, countries + 1)],
        publishers=[
            {"id": i, "name": f"publisher {i}", "country_id": i % countries + 1}
            for i in range(1, publishers + 1)
        ],
        authors=[
            {"id": i, "name": f"author {i}", "born": 1900 + i % 100, "publisher_id": (i - 1) // authors + 1}
            for i in range(1, author_count + 1)
        ],
        books=[
            {
                "id": i,
                "title": f"title of book {i}",
                "pages": 50 + i * 7 % 900,
                "author_id": (i - 1) // books + 1,
            }
            for i in range(1, book_count + 1)
        ],
        tags=[{"id": i, "name": f"tag {i}"} for i in range(1, tag_count + 1)],
        links=[
            {"book_id": book, "tag_id": (book * 13 + step * 17) % tag_count + 1}
            for book in range(1, book_count + 1)
            for step in range(tags)
        ],
    )
