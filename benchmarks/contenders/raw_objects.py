"""The plain objects of raw, and the texts and tuples that are the same on every backend."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any, Optional

from benchmarks.data import Row

ITEM = "id, rank, name, quantity, ratio, active, created, price, note, meta"
VALUES = "rank, name, quantity, ratio, active, created, price, note, meta"
AUTHOR = "id, name, born, publisher_id"
BOOK = "id, title, pages, author_id"


class Item:
    __slots__ = ("active", "created", "id", "meta", "name", "note", "price", "quantity", "rank", "ratio")

    def __init__(
        self,
        rank: int,
        name: str,
        quantity: int,
        ratio: float,
        active: bool,
        created: datetime,
        price: Decimal,
        note: Optional[str],
        meta: dict[str, Any],
        id: Optional[int] = None,
    ) -> None:
        self.id = id
        self.rank = rank
        self.name = name
        self.quantity = quantity
        self.ratio = ratio
        self.active = active
        self.created = created
        self.price = price
        self.note = note
        self.meta = meta


class Publisher:
    __slots__ = ("authors", "country_id", "id", "name")

    def __init__(self, id: int, name: str, country_id: int) -> None:
        self.id = id
        self.name = name
        self.country_id = country_id
        self.authors: list[Author] = []


class Author:
    __slots__ = ("books", "born", "id", "name", "publisher_id")

    def __init__(self, id: int, name: str, born: int, publisher_id: int) -> None:
        self.id = id
        self.name = name
        self.born = born
        self.publisher_id = publisher_id
        self.books: list[Book] = []


class Book:
    __slots__ = ("author", "author_id", "id", "pages", "tags", "title")

    def __init__(
        self, id: int, title: str, pages: int, author_id: int, author: Optional[Author] = None
    ) -> None:
        self.id = id
        self.title = title
        self.pages = pages
        self.author_id = author_id
        self.author = author
        self.tags: Any = None


class Tag:
    __slots__ = ("id", "name")

    def __init__(self, id: int, name: str) -> None:
        self.id = id
        self.name = name


def item_values(item: Item) -> tuple[Any, ...]:
    """Return an item's columns but the id, JSON written."""
    return (
        item.rank,
        item.name,
        item.quantity,
        item.ratio,
        item.active,
        item.created,
        item.price,
        item.note,
        json.dumps(item.meta),
    )


def row_values(row: Row) -> tuple[Any, ...]:
    """As item_values, of a generated row."""
    return (
        row["rank"],
        row["name"],
        row["quantity"],
        row["ratio"],
        row["active"],
        row["created"],
        row["price"],
        row["note"],
        json.dumps(row["meta"]),
    )
