"""Columns and the expressions that are built from them."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Optional

from typing_extensions import assert_type

from blaze import Expression, Q, Row, Select, cast, func
from tests.typing.accept_models import Author, Book, Everything, Status


def comparisons() -> None:
    now = datetime.now(timezone.utc)
    assert_type(Book.id == 1, Expression[bool])
    assert_type(Book.id != 1, Expression[bool])
    assert_type(Book.id < 1, Expression[bool])
    assert_type(Book.id >= Book.author_id, Expression[bool])
    assert_type(Book.price < 20, Expression[bool])
    assert_type(Book.price < Decimal("19.99"), Expression[bool])
    assert_type(Book.price == 20, Expression[bool])
    assert_type(Book.price * 2 > Book.price, Expression[bool])
    assert_type(Book.title == "x", Expression[bool])
    assert_type(Book.title < "x", Expression[bool])
    assert_type(Book.published > now, Expression[bool])
    assert_type(Book.published == None, Expression[bool])  # noqa: E711
    assert_type(Book.published.is_(None), Expression[bool])
    assert_type(Book.published.is_not(None), Expression[bool])
    assert_type(Everything.ratio > 1, Expression[bool])
    assert_type(Everything.status == Status.DONE, Expression[bool])
    assert_type(Everything.created <= now, Expression[bool])


def nullable_meets_required() -> None:
    assert_type(Author.email == Author.name, Expression[bool])
    assert_type(Author.name == Author.email, Expression[bool])
    assert_type(Author.name < Author.email, Expression[bool])
    optional: Expression[Optional[str]] = Author.name
    print(optional)


def membership() -> None:
    assert_type(Book.id.in_([1, 2]), Expression[bool])
    assert_type(Book.id.in_({1, 2}), Expression[bool])
    assert_type(Book.title.not_in(("a", "b")), Expression[bool])
    assert_type(Book.published.in_([None]), Expression[bool])
    assert_type(Book.id.between(1, 5), Expression[bool])
    assert_type(Book.price.between(Decimal(1), Decimal(5)), Expression[bool])


def texts() -> None:
    assert_type(Book.title.like("a%"), Expression[bool])
    assert_type(Book.title.contains("a"), Expression[bool])
    assert_type(Book.title.startswith("a"), Expression[bool])
    assert_type(Book.title.endswith(Author.name), Expression[bool])
    assert_type(Author.email.icontains("a"), Expression[bool])
    assert_type(Author.email.iexact("a"), Expression[bool])


def logic() -> None:
    cheap = Book.price < 20
    assert_type(cheap & (Book.id > 1), Expression[bool])
    assert_type(cheap | (Book.id > 1), Expression[bool])
    assert_type(~cheap, Expression[bool])
    assert_type(~Everything.flag & cheap, Expression[bool])
    assert_type(Q(name="x") | ~Q(books__price__gt=50) & Q(), Q)


def arithmetic() -> None:
    assert_type(Book.id + 1, Expression[int])
    assert_type(1 + Book.id, Expression[int])
    assert_type(-Book.id, Expression[int])
    assert_type(Book.id / 2, Expression[float])
    assert_type(Book.price * 2, Expression[Decimal])
    assert_type(Book.price - Book.price, Expression[Decimal])
    assert_type(Everything.when + timedelta(days=1), Expression[datetime])
    assert_type(Book.title + "!" + Book.title, Expression[str])
    assert_type("x" + Book.title, Expression[str])


def shapes() -> None:
    # Annotated, not assert_type: the classes of these expressions are nobody's business.
    as_integer: Expression[int] = Book.title.cast(int)
    as_text: Expression[str] = cast(Book.price, str)
    labelled: Expression[Decimal] = (Book.price * 2).label("double")
    ordered: Expression[str] = Book.title.desc().nulls_last()
    inside: Expression[bool] = Book.meta["pages"] == 387
    print(as_integer, as_text, labelled, ordered, inside)


def functions() -> None:
    assert_type(func.count(Book.id) > 3, Expression[bool])
    count: Expression[int] = func.count(Book.id)
    lower: Expression[str] = func.lower(Book.title)
    length: Expression[int] = func.length(Book.title)
    now: Expression[datetime] = func.now()
    total: Expression[Optional[Decimal]] = func.sum(Book.price)
    # Over no rows these give None, and the types say so.
    assert_type(
        Select(func.sum(Book.price), func.min(Book.title)), Select[Row[Optional[Decimal], Optional[str]]]
    )
    latest: Expression[Optional[datetime]] = func.max(Book.published)
    print(count, lower, length, now, total, latest)
    func.anything(Book.id, 1).label("x")


def calculations() -> None:
    assert_type(Book.price * 2, Expression[Decimal])
    assert_type(2 * Book.price, Expression[Decimal])
    assert_type(Book.price + Decimal("0.5"), Expression[Decimal])
    assert_type(Book.price - Book.id, Expression[Decimal])
    assert_type(Book.price / Book.price, Expression[Decimal])
    assert_type(Book.id * 2, Expression[int])
    assert_type(Book.title + "x", Expression[str])
    assert_type("x" + Book.title, Expression[str])
