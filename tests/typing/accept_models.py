"""Models as a user writes them: declarations, attributes and the typed constructor."""

import enum
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Optional
from uuid import UUID, uuid4

from typing_extensions import assert_type

from blaze import (
    Check,
    Column,
    Field,
    ForeignKey,
    Index,
    ManyToMany,
    Model,
    OneToMany,
    OneToOne,
    Unique,
    field,
    foreign_key,
    key_column,
    many_to_many,
    one_to_many,
    one_to_one,
)


class Status(enum.Enum):
    DRAFT = "draft"
    DONE = "done"


class Author(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=120, index=True)
    email: Field[Optional[str]] = field(unique=True, default=None)
    books: OneToMany["Book"] = one_to_many()


class Tag(Model):
    name: Field[str] = field(unique=True)


class Book(Model):
    id: Field[int] = field(primary_key=True)
    title: Field[str] = field(max_length=200)
    price: Field[Decimal] = field(precision=10, scale=2)
    published: Field[Optional[datetime]] = field(default=None)
    meta: Field[dict[str, Any]] = field(default_factory=dict)
    author: ForeignKey[Author] = foreign_key(related_name="books", on_delete="CASCADE")
    author_id: Field[int] = key_column()
    editor: ForeignKey[Optional[Author]] = foreign_key(default=None, on_delete="SET NULL")
    tags: ManyToMany["Tag"] = many_to_many(related_name="books")

    class Meta:
        table = "book"
        indexes = [Index("title", "price")]
        constraints = [Check("price >= 0"), Unique("title", "author")]

    def shout(self) -> str:
        return self.title.upper()


class Profile(Model):
    user: OneToOne["User"] = one_to_one(related_name="profile", on_delete="CASCADE")
    bio: Field[str] = field(default="")


class User(Model):
    code: Field[str] = field(primary_key=True, init=True, max_length=10)
    parent: ForeignKey[Optional["User"]] = foreign_key(default=None)
    parent_id: Field[Optional[str]] = key_column()
    profile: OneToOne[Optional["Profile"]] = one_to_one(reverse=True)


class Review(Model):
    """Built by keys instead of objects."""

    id: Field[UUID] = field(primary_key=True, default_factory=uuid4)
    book: ForeignKey["Book"] = foreign_key(init=False)
    book_id: Field[int] = key_column(init=True)
    text: Field[str] = field()


class Timestamped(Model):
    created: Field[datetime] = field(server_default="CURRENT_TIMESTAMP")
    changes: Field[int] = field(version=True)

    class Meta:
        abstract = True


class Everything(Timestamped):
    bare: Field[int]
    flag: Field[bool] = field(default=False)
    changed: Field[Optional[datetime]] = field(default=None, on_update=datetime.now)
    state: Field[str] = field(default="new", server_default="new")
    count: Field[int] = field(choices=[1, 2, 3])
    ratio: Field[float] = field()
    data: Field[bytes] = field()
    day: Field[date] = field()
    at: Field[time] = field()
    when: Field[datetime] = field(timezone=False)
    took: Field[timedelta] = field()
    key: Field[UUID] = field(default_factory=uuid4)
    status: Field[Status] = field(default=Status.DRAFT)
    names: Field[list[str]] = field(default_factory=list)
    total: Field[int] = field(generated="count * 2")
    filled: Field[int] = field(server_default="7", init=True)


def constructors(author: Author, moment: datetime) -> None:
    Author(name="Ursula")
    Author(name="Ursula", email=None)
    Author(name="Ursula", email="u@example.org")
    Tag(name="sf")
    Book(title="The Dispossessed", price=Decimal("9.99"), author=author)
    Book(title="x", price=Decimal(1), author=author, editor=None, published=moment, meta={"pages": 387})
    Book(title="x", price=Decimal(1), author=author, editor=author, published=None)
    User(code="a")
    User(code="b", parent=User(code="a"))
    Profile(user=User(code="a"))
    Review(book_id=1, text="good")
    Review(id=uuid4(), book_id=1, text="good")
    Everything(
        bare=1,
        count=1,
        ratio=1.5,
        data=b"",
        day=date(2024, 1, 1),
        at=time(12),
        when=datetime(2024, 1, 1),
        took=timedelta(1),
        names=["a"],
        filled=1,
        state="old",
    )


def instances(book: Book, user: User, every: Everything) -> None:
    assert_type(book.id, int)
    assert_type(book.title, str)
    assert_type(book.price, Decimal)
    assert_type(book.published, Optional[datetime])
    assert_type(book.meta, dict[str, Any])
    assert_type(book.shout(), str)
    assert_type(user.code, str)
    assert_type(every.created, datetime)
    assert_type(every.changes, int)
    assert_type(every.status, Status)
    assert_type(every.names, list[str])
    assert_type(every.key, UUID)
    book.title = "A Wizard of Earthsea"
    book.published = None
    book.meta["pages"] = 183
    every.status = Status.DONE
    every.names = ["b"]
    book.validate()
    book.clean()
    book.full_clean()


def columns() -> None:
    assert_type(Book.id, Column[int])
    assert_type(Book.title, Column[str])
    assert_type(Book.price, Column[Decimal])
    assert_type(Book.published, Column[Optional[datetime]])
    assert_type(Book.meta, Column[dict[str, Any]])
    assert_type(Review.id, Column[UUID])
    assert_type(Everything.bare, Column[int])
    assert_type(Everything.created, Column[datetime])
    assert_type(Everything.status, Column[Status])
    assert_type(Everything.names, Column[list[str]])


def implicit_key(tag: Tag) -> None:
    key: int = tag.id
    column: Column[int] = Tag.id
    assert_type((key, column), tuple[int, Column[int]])


def usable_as_keys(book: Book) -> None:
    assert_type({book: 1}, dict[Book, int])
    assert_type(book == book, bool)
    assert_type({Book: "model"}[Book], str)
