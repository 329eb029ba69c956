"""Columns and the expressions that are built from them."""

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Optional

from typing_extensions import assert_type

from blaze import Expression, Field, Model, Q, Row, Select, Session, case, cast, field, func, sql
from blaze.sql.functions import Function
from tests.typing.accept_models import Author, Book, Everything, Status


class Measure(Model):
    """Every kind of operand, and each that may be NULL."""

    id: Field[int] = field(primary_key=True)
    n: Field[int]
    age: Field[Optional[int]]
    ratio: Field[float]
    weight: Field[Optional[float]]
    cost: Field[Decimal] = field(precision=8, scale=2)
    fee: Field[Optional[Decimal]] = field(precision=8, scale=2)
    start: Field[datetime]
    end: Field[Optional[datetime]]
    day: Field[date]
    clock: Field[time]
    span: Field[timedelta]
    pause: Field[Optional[timedelta]]
    name: Field[str]
    email: Field[Optional[str]]


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


def numbers() -> None:
    assert_type(Measure.n * 1.5, Expression[float])
    assert_type(1.5 - Measure.n, Expression[float])
    assert_type(1 / Measure.n, Expression[float])
    assert_type(Measure.n % 2, Expression[int])
    assert_type(Measure.age / 2, Expression[Optional[float]])
    assert_type(Measure.ratio + Measure.n, Expression[float])
    assert_type(Measure.ratio + Measure.age, Expression[Optional[float]])
    assert_type(Measure.weight * 2, Expression[Optional[float]])
    assert_type(Measure.n + Measure.age, Expression[Optional[int]])
    assert_type(Measure.age + Measure.n, Expression[Optional[int]])
    assert_type(Measure.n * Measure.cost, Expression[Decimal])
    assert_type(Measure.n + Decimal(1), Expression[Decimal])
    assert_type(Decimal(2) * Measure.n, Expression[Decimal])
    assert_type(Measure.fee + Measure.n, Expression[Optional[Decimal]])
    assert_type(2 * Measure.fee, Expression[Optional[Decimal]])
    assert_type(Measure.cost - Measure.fee, Expression[Optional[Decimal]])
    assert_type(func.sum(Measure.n) / func.count(Measure.id), Expression[Optional[float]])
    assert_type(func.coalesce(Measure.age, 0) + 1, Expression[int])
    ended = func.coalesce(Measure.end, Measure.start)
    assert_type(ended, Function[datetime])
    assert_type(func.coalesce(Measure.end, func.max(Measure.end), Measure.start), Function[datetime])
    assert_type(func.coalesce(Measure.end, Measure.end), Function[Optional[datetime]])
    assert_type(func.coalesce(Measure.fee, Measure.cost * 2), Function[Decimal])
    assert_type(func.sum(case((Measure.n > 1, 1), else_=0)) + 1, Expression[Optional[int]])
    assert_type(sql("x") + 1, Expression[Any])


def times() -> None:
    now = datetime.now(timezone.utc)
    assert_type(Measure.start - Measure.start, Expression[timedelta])
    assert_type(Measure.start - Measure.end, Expression[Optional[timedelta]])
    assert_type(now - Measure.start, Expression[timedelta])
    assert_type(Measure.start - Measure.span, Expression[datetime])
    assert_type(Measure.start + Measure.pause, Expression[Optional[datetime]])
    assert_type(Measure.end + timedelta(1), Expression[Optional[datetime]])
    assert_type(Measure.span + Measure.start, Expression[datetime])
    assert_type(timedelta(1) + Measure.start, Expression[datetime])
    assert_type(now - Measure.span, Expression[datetime])
    assert_type(Measure.day + timedelta(1), Expression[date])
    assert_type(Measure.clock + timedelta(1), Expression[time])
    assert_type(timedelta(1) - Measure.span, Expression[timedelta])
    assert_type(Measure.span * 2, Expression[timedelta])
    assert_type(2 * Measure.span, Expression[timedelta])
    assert_type(Measure.span * Measure.age, Expression[Optional[timedelta]])
    assert_type(Measure.n * Measure.span, Expression[timedelta])
    assert_type(timedelta(2) * Measure.n, Expression[timedelta])
    assert_type(Measure.span / 2, Expression[timedelta])
    assert_type(Measure.span / Measure.span, Expression[float])
    assert_type(Measure.span / Measure.pause, Expression[Optional[float]])


def functions_of_what_may_be_missing() -> None:
    assert_type(Measure.name + Measure.email, Expression[Optional[str]])
    assert_type("x" + Measure.email, Expression[Optional[str]])
    assert_type(Measure.name.concat("x", Measure.name), Expression[str])
    assert_type(Measure.name.concat(Measure.email), Expression[Optional[str]])
    assert_type(func.lower(Measure.name), Function[str])
    assert_type(func.lower(Measure.email), Function[Optional[str]])
    assert_type(func.upper(Measure.email), Function[Optional[str]])
    assert_type(func.trim(Measure.email), Function[Optional[str]])
    assert_type(func.substr(Measure.email, 1), Function[Optional[str]])
    assert_type(func.replace(Measure.name, "a", "b"), Function[str])
    assert_type(func.replace(Measure.name, "a", Measure.email), Function[Optional[str]])
    assert_type(func.length(Measure.name), Function[int])
    assert_type(func.length(Measure.email), Function[Optional[int]])
    assert_type(func.extract("year", Measure.start), Function[int])
    assert_type(func.extract("year", Measure.end), Function[Optional[int]])
    assert_type(func.string_agg(Measure.name), Function[Optional[str]])
    assert_type(Measure.n.cast(str), Expression[str])
    assert_type(Measure.email.cast(str), Expression[Optional[str]])
    assert_type(cast(5, str), Expression[str])
    assert_type(cast(Measure.n, str), Expression[str])
    assert_type(cast(Measure.age, str), Expression[Optional[str]])


def subqueries(session: Session) -> None:
    largest = Select(func.max(Measure.n))
    assert_type(Measure.n == largest, Expression[bool])
    assert_type(Measure.n != largest, Expression[bool])
    assert_type(Measure.n > Select(func.avg(Measure.n)), Expression[bool])
    assert_type(Measure.age <= session.query(func.max(Measure.n)), Expression[bool])
    assert_type(Measure.name == Select(Author.name).where(Author.id == 1), Expression[bool])
    assert_type(Measure.n.between(Select(func.min(Measure.n)), 5), Expression[bool])
    assert_type(Measure.n + largest, Expression[Any])
    assert_type(session.query(Measure).where(Measure.n == largest).all(), list[Measure])
