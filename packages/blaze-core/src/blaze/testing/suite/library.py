"""The models that the cases of queries read, and their rows, the same for every case."""

from __future__ import annotations

import enum
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any, Optional

from blaze import (
    Field,
    ForeignKey,
    ManyToMany,
    Model,
    OneToMany,
    OneToOne,
    field,
    foreign_key,
    key_column,
    many_to_many,
    one_to_many,
    one_to_one,
)


class Genre(enum.Enum):
    NOVEL = "novel"
    ESSAY = "essay"


class Publisher(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=80)
    country: Field[Optional[str]] = field(default=None)

    class Meta:
        table = "suite_library_publisher"


class Author(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=80, index=True)
    email: Field[Optional[str]] = field(unique=True, default=None, max_length=100)
    born: Field[Optional[date]] = field(default=None)
    mentor: ForeignKey[Optional[Author]] = foreign_key(default=None, related_name="pupils")
    mentor_id: Field[Optional[int]] = key_column()
    books: OneToMany[Book] = one_to_many()

    class Meta:
        table = "suite_library_author"


class Profile(Model):
    id: Field[int] = field(primary_key=True)
    author: OneToOne[Author] = one_to_one(related_name="profile", on_delete="CASCADE")
    bio: Field[str] = field(default="")

    class Meta:
        table = "suite_library_profile"


class Book(Model):
    id: Field[int] = field(primary_key=True)
    title: Field[str] = field(max_length=100)
    pages: Field[int]
    price: Field[Decimal] = field(precision=10, scale=2)
    rating: Field[Optional[float]] = field(default=None)
    genre: Field[Genre] = field(default=Genre.NOVEL)
    in_print: Field[bool] = field(default=True)
    published: Field[Optional[datetime]] = field(default=None)
    meta: Field[dict[str, Any]] = field(default_factory=dict)
    author: ForeignKey[Author] = foreign_key(related_name="books", on_delete="CASCADE")
    author_id: Field[int] = key_column()
    editor: ForeignKey[Optional[Author]] = foreign_key(related_name="edited", default=None)
    editor_id: Field[Optional[int]] = key_column()
    publisher: ForeignKey[Optional[Publisher]] = foreign_key(related_name="books", default=None)
    publisher_id: Field[Optional[int]] = key_column()
    tags: ManyToMany[Tag] = many_to_many(related_name="books")
    reviews: OneToMany[Review] = one_to_many()

    class Meta:
        table = "suite_library_book"


class Tag(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(unique=True, max_length=50)

    class Meta:
        table = "suite_library_tag"


class Review(Model):
    id: Field[int] = field(primary_key=True)
    stars: Field[int]
    book: ForeignKey[Book] = foreign_key(related_name="reviews", on_delete="CASCADE")
    book_id: Field[int] = key_column()

    class Meta:
        table = "suite_library_review"


class Edition(Model):
    """A composite key."""

    code: Field[str] = field(primary_key=True, init=True, max_length=10)
    number: Field[int] = field(primary_key=True, init=True)
    year: Field[int]
    copies: OneToMany[Copy] = one_to_many()

    class Meta:
        table = "suite_library_edition"


class Copy(Model):
    """A foreign key to a composite key."""

    id: Field[int] = field(primary_key=True)
    shelf: Field[str]
    edition: ForeignKey[Optional[Edition]] = foreign_key(related_name="copies", default=None)

    class Meta:
        table = "suite_library_copy"


MODELS = (Publisher, Author, Profile, Book, Tag, Review, Edition, Copy)


def at(day: int) -> datetime:
    return datetime(2024, 1, day, 12, tzinfo=timezone.utc)


# id, name, email, born, mentor
AUTHORS = [
    (1, "Ursula", "ursula@example.org", date(1929, 10, 21), None),
    (2, "Italo", None, date(1923, 10, 15), 1),
    (3, "Octavia", "octavia@example.org", None, 1),
    (4, "Émile", "emile@example.org", date(1840, 4, 2), 3),
    (5, "Nobody", None, None, None),
]
# id, title, pages, price, rating, genre, in_print, published, meta, author, editor, publisher, tags, stars
BOOKS: list[tuple[Any, ...]] = [
    (1, "The Dispossessed", 387, "9.99", 4.5, "NOVEL", True, 1, {"lang": "en"}, 1, 2, 1, [1, 2], [5, 4]),
    (2, "The Lathe", 184, "7.50", 4.0, "NOVEL", True, 2, {"lang": "en", "n": 3}, 1, None, 1, [1], [3]),
    (3, "Wave in the Mind", 304, "12.00", None, "ESSAY", False, None, {}, 1, 3, None, [], []),
    (4, "Invisible Cities", 165, "10.50", 4.8, "NOVEL", True, 3, {"lang": "it"}, 2, 1, 2, [2, 3], [5, 5, 1]),
    (5, "100% Cotton_Wool", 10, "0.10", 1.0, "ESSAY", True, 4, {"tags": ["a", "b"]}, 2, None, 2, [3], []),
    (6, "Kindred", 264, "100.00", 4.5, "NOVEL", False, 5, {"lang": "en"}, 3, 1, None, [1, 2, 3], [4]),
    (7, "Germinal", 591, "8.00", None, "NOVEL", True, None, {"lang": "fr"}, 4, None, 3, [], [2, 2]),
]
PUBLISHERS = [(1, "Ace", "US"), (2, "Einaudi", "IT"), (3, "Unknown House", None)]
TAGS = [(1, "sf"), (2, "classic"), (3, "short"), (4, "unused")]
EDITIONS = [("A", 1, 1999), ("A", 2, 2004), ("B", 1, 2010)]
COPIES = [(1, "x", ("A", 1)), (2, "x", ("A", 2)), (3, "y", ("A", 2)), (4, "y", None), (5, "z", ("B", 1))]


async def fill(session: Any) -> None:
    """Insert all rows; the caller commits."""
    publisher: Any = Publisher  # to a checker their constructors take no keys
    author: Any = Author
    tag: Any = Tag
    profile: Any = Profile
    book: Any = Book
    review: Any = Review
    await session.bulk_insert([publisher(id=i, name=n, country=c) for i, n, c in PUBLISHERS])
    await session.bulk_insert(
        [author(id=i, name=n, email=e, born=b, mentor_id=m) for i, n, e, b, m in AUTHORS]
    )
    await session.bulk_insert([tag(id=i, name=n) for i, n in TAGS])
    await session.bulk_insert(
        [profile(id=9, author_id=1, bio="born in Berkeley"), profile(id=8, author_id=2)]
    )
    books, reviews = [], []
    for row in BOOKS:
        number, title, pages, price, rating, genre, in_print, day, meta = row[:9]
        author_id, editor_id, publisher_id, _, stars = row[9:]
        books.append(
            book(
                id=number,
                title=title,
                pages=pages,
                price=Decimal(price),
                rating=rating,
                genre=Genre[genre],
                in_print=in_print,
                published=None if day is None else at(day),
                meta=meta,
                author_id=author_id,
                editor_id=editor_id,
                publisher_id=publisher_id,
            )
        )
        reviews += [(each, number) for each in stars]
    await session.bulk_insert(books)
    await session.bulk_insert(
        [review(id=n, stars=stars, book_id=of) for n, (stars, of) in enumerate(reviews, 1)]
    )
    for row in BOOKS:
        for label in row[12]:
            await session.execute(
                "INSERT INTO suite_library_book_tags (suite_library_book_id, suite_library_tag_id)"
                " VALUES (?, ?)",
                [row[0], label],
            )
    await session.bulk_insert([Edition(code=c, number=n, year=y) for c, n, y in EDITIONS])
    for number, shelf, edition in COPIES:
        code, volume = edition or (None, None)
        await session.execute(
            "INSERT INTO suite_library_copy (id, shelf, edition_code, edition_number) VALUES (?, ?, ?, ?)",
            [number, shelf, code, volume],
        )
