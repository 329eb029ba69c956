"""Wrong operands: each marked line must be an error."""

from datetime import datetime
from decimal import Decimal

from blaze import Session, func
from tests.typing.accept_columns import Measure
from tests.typing.accept_models import Author, Book, Everything


def ordering() -> None:
    print(Book.price < "x")  # error
    print(Book.id < "x")  # error
    print(Book.id >= "x")  # error
    print(Book.title > 5)  # error
    print(Book.published < "2024-01-01")  # error
    print(Book.title < Book.id)  # error
    print(Book.id < None)  # error
    print(Everything.ratio < Decimal(1))  # error
    print(Book.price + "x")  # error
    print("x" + Book.id)  # error
    print(Book.id * "x")  # error
    print(Book.title - "x")  # error


def equality(session: Session, author: Author) -> None:
    session.query(Book).where(Book.id == "x")  # error
    session.query(Book).where(Book.title == 5)  # error
    session.query(Book).where(Book.price != "x")  # error
    session.query(Book).where(Book.title == Book.id)  # error
    session.query(Book).where(Book.author == "x")  # error
    session.query(Book).where(Everything.status == "done")  # error
    session.query(Book).where(Book.author.name == 5)  # error
    session.query(Everything).where(not Everything.flag)  # error
    session.query(Book).where("x" in Book.title)  # error


def methods() -> None:
    Book.id.in_(["x"])  # error
    Book.title.in_([1])  # error
    Book.id.in_(5)  # error
    Book.id.between("a", "b")  # error
    Book.title.between(1, 2)  # error
    Book.id.startswith("x")  # error
    Book.price.contains("x")  # error
    Book.title.startswith(5)  # error
    Book.published.like("x")  # error
    Book.id.is_("x")  # error
    Book.title.label(5)  # error
    Book.title.nothing()  # error
    for each in Book.title:  # error
        print(each)


def logic(now: datetime) -> None:
    print((Book.id > 1) & 5)  # error
    print((Book.id > 1) & (now > now))  # error
    print((Book.id > 1) | "x")  # error
    print(~Book.title)  # error


def calculations() -> None:
    print(Book.price * 1.5)  # error
    print(1.5 * Book.price)  # error
    print(Book.price + 1.1)  # error
    print(Book.price / 2.0)  # error
    print(Book.title + 5)  # error
    print(5 + Book.title)  # error
    print(Book.title * 2)  # error
    print(Book.title - "x")  # error
    print(Measure.n + None)  # error
    print(Measure.age + None)  # error
    print(Measure.n + "x")  # error
    print(Measure.ratio * Measure.cost)  # error
    print(Measure.start + Measure.start)  # error
    print(Measure.start + 1)  # error
    print(Measure.start * 2)  # error
    print(Measure.span + 1)  # error
    print(Measure.span * Measure.span)  # error
    print(Measure.n - Measure.start)  # error


def what_may_be_missing(session: Session) -> None:
    rows = session.query(
        Measure.age / 2,
        Measure.n + Measure.age,
        func.lower(Measure.email),
        func.length(Measure.email),
        Measure.age.cast(str),
        Measure.n * 1.5,
    )
    for half, sum_, low, size, text, more in rows:
        print(half + 1)  # error
        print(sum_ + 1)  # error
        print(low.upper())  # error
        print(size + 1)  # error
        print(text.upper())  # error
        print(more.bit_length())  # error
