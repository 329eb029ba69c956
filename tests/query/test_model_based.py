"""Random queries against a plain-Python filter over the same rows, and the soundness of cached statements."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blaze import Engine, Q, Select, Session, alias, cast, exists, func, literal, sql
from blaze.query.query import Query
from tests.query.models import AUTHORS, BOOKS, Author, Book, Tag

# A row as Python sees it.
Row = dict[str, Any]
NAMES = ("id", "title", "pages", "price", "rating", "in_print", "author_id", "editor_id")


def rows() -> list[Row]:
    mentors = {number: mentor for number, _, _, _, mentor in AUTHORS}
    names = {number: name for number, name, *_ in AUTHORS}
    found = []
    for (
        number,
        title,
        pages,
        price,
        rating,
        _,
        in_print,
        _,
        _,
        author,
        editor,
        publisher,
        tags,
        stars,
    ) in BOOKS:
        found.append(
            {
                "id": number,
                "title": title,
                "pages": pages,
                "price": Decimal(price),
                "rating": rating,
                "in_print": in_print,
                "author_id": author,
                "editor_id": editor,
                "publisher_id": publisher,
                "author": names[author],
                "mentor": names.get(mentors[author]),
                "tags": set(tags),
                "stars": stars,
            }
        )
    return found


ROWS = rows()

# SQL's three values: True, False and None for unknown.
Truth = Callable[[Row], Any]
Condition = tuple[Any, Truth]


def negated(value: Any) -> Any:
    return None if value is None else not value


def both_true(left: Any, right: Any) -> Any:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def either_true(left: Any, right: Any) -> Any:
    return negated(both_true(negated(left), negated(right)))


def compared(name: str, op: str, value: Any) -> Condition:
    column = getattr(Book, name)
    tests: dict[str, Any] = {
        "<": (lambda: column < value, lambda x: x < value),
        "<=": (lambda: column <= value, lambda x: x <= value),
        "==": (lambda: column == value, lambda x: x == value),
        "!=": (lambda: column != value, lambda x: x != value),
        ">": (lambda: column > value, lambda x: x > value),
        ">=": (lambda: column >= value, lambda x: x >= value),
    }
    make, test = tests[op]
    return make(), lambda row: None if row[name] is None else test(row[name])


def member(name: str, values: list[Any]) -> Condition:
    column = getattr(Book, name)

    def test(row: Row) -> Any:
        value = row[name]
        if None in values:
            return value in values
        return None if value is None and values else value in values

    return column.in_(values), test


numbers = st.integers(0, 600)
prices = st.decimals(Decimal(0), Decimal(120), places=2)
ratings = st.sampled_from([1.0, 3.9, 4.0, 4.5, 4.8, 5.0])
ops = st.sampled_from(["<", "<=", "==", "!=", ">", ">="])
texts = st.sampled_from(["", "The", "the", "%", "_", "in", "Kindred", "e", "[", "*", "?"])

simple: st.SearchStrategy[Condition] = st.one_of(
    st.builds(compared, st.just("pages"), ops, numbers),
    st.builds(compared, st.just("id"), ops, st.integers(0, 8)),
    st.builds(compared, st.just("price"), ops, prices),
    st.builds(compared, st.just("rating"), ops, ratings),
    st.builds(compared, st.just("editor_id"), ops, st.integers(0, 5)),
    st.builds(member, st.just("id"), st.lists(st.integers(0, 8))),
    st.builds(member, st.just("rating"), st.lists(st.one_of(st.none(), ratings))),
    st.builds(lambda v: (Book.title.contains(v), lambda r: v in r["title"]), texts),
    st.builds(lambda v: (Book.title.startswith(v), lambda r: r["title"].startswith(v)), texts),
    st.builds(lambda v: (Book.title.endswith(v), lambda r: r["title"].endswith(v)), texts),
    st.builds(lambda v: (Book.title.icontains(v), lambda r: v.lower() in r["title"].lower()), texts),
    st.builds(
        lambda v: (Book.author.name == v, lambda r: r["author"] == v),
        st.sampled_from(["Italo", "Ursula", ""]),
    ),
    st.builds(
        lambda v: (Book.author.mentor.name == v, lambda r: None if r["mentor"] is None else r["mentor"] == v),
        st.sampled_from(["Octavia", "Ursula"]),
    ),
    st.builds(lambda v: (Book.tags.id == v, lambda r: v in r["tags"]), st.integers(1, 4)),
    st.builds(
        lambda v: (Book.reviews.stars >= v, lambda r: any(s >= v for s in r["stars"])), st.integers(0, 6)
    ),
    st.builds(
        lambda low, high: (
            (Book.reviews.stars > low) & (Book.reviews.stars < high),
            lambda r: any(low < s < high for s in r["stars"]),
        ),
        st.integers(0, 6),
        st.integers(0, 6),
    ),
    st.just((Book.in_print, lambda r: r["in_print"])),
    st.just((Book.tags.is_(None), lambda r: not r["tags"])),
    st.just((Book.editor.is_(None), lambda r: r["editor_id"] is None)),
    st.builds(
        lambda v: (Book.pages.between(v, v + 100), lambda r: v <= r["pages"] <= v + 100),
        numbers,
    ),
)


def combine(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    return st.one_of(
        st.builds(lambda a: (~a[0], lambda r: negated(a[1](r))), parts),
        st.builds(lambda a, b: (a[0] | b[0], lambda r: either_true(a[1](r), b[1](r))), parts, parts),
    )


# `&` shares the related row of to-many paths, so it is only put between conditions of which one is to-one.
to_one = st.one_of(
    st.builds(compared, st.just("pages"), ops, numbers), st.builds(compared, st.just("rating"), ops, ratings)
)
conditions = st.recursive(
    st.one_of(
        simple, st.builds(lambda a, b: (a[0] & b[0], lambda r: both_true(a[1](r), b[1](r))), to_one, simple)
    ),
    combine,
    max_leaves=6,
)

fixed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fixed
@given(st.lists(conditions, max_size=3), st.integers(0, 8), st.one_of(st.none(), st.integers(0, 8)))
def test_queries_agree_with_plain_python(
    session: Session, wanted: list[Condition], offset: int, limit: int | None
) -> None:
    query = session.query(Book).order_by(Book.id)
    for condition, _ in wanted:
        query = query.where(condition)
    expected = [row["id"] for row in ROWS if all(test(row) is True for _, test in wanted)]
    assert [book.id for book in query.all()] == expected
    assert query.count() == len(expected)
    assert query.exists() is bool(expected)
    stop = None if limit is None else offset + limit
    assert [book.id for book in query[offset:stop].all()] == expected[offset:stop]
    subquery = Select(Book).where(*[condition for condition, _ in wanted])
    assert session.query(Book).where(Book.id.in_(subquery)).count() == len(expected)


lookups = st.fixed_dictionaries(
    {},
    optional={
        "pages__gt": numbers,
        "price__lte": prices,
        "rating": st.one_of(st.none(), ratings),
        "rating__in": st.lists(st.one_of(st.none(), ratings), max_size=3),
        "author__name": st.sampled_from(["Italo", "Ursula"]),
        "author__mentor__name": st.sampled_from(["Octavia", "Ursula"]),
        "editor": st.one_of(st.none(), st.integers(1, 5)),
        "title__icontains": texts,
        "tags": st.integers(1, 4),
        "tags__isnull": st.booleans(),
        "reviews__stars__gte": st.integers(0, 6),
    },
)
TESTS: dict[str, Callable[[Row, Any], bool]] = {
    "pages__gt": lambda r, v: r["pages"] > v,
    "price__lte": lambda r, v: r["price"] <= v,
    "rating": lambda r, v: r["rating"] == v,
    "rating__in": lambda r, v: r["rating"] in v,
    "author__name": lambda r, v: r["author"] == v,
    "author__mentor__name": lambda r, v: r["mentor"] == v,
    "editor": lambda r, v: r["editor_id"] == v,
    "title__icontains": lambda r, v: v.lower() in r["title"].lower(),
    "tags": lambda r, v: v in r["tags"],
    "tags__isnull": lambda r, v: bool(r["tags"]) is not v,
    "reviews__stars__gte": lambda r, v: any(s >= v for s in r["stars"]),
}
Test = Optional[Callable[[Row], bool]]  # None says nothing, as an empty Q does


def opposite(a: Test) -> Test:
    return None if a is None else lambda r: not a(r)


def either(a: Test, b: Test) -> Test:
    return (lambda r: a(r) or b(r)) if a and b else a or b


qs = st.recursive(
    st.builds(
        lambda d: (Q(**d), (lambda r: all(TESTS[k](r, v) for k, v in d.items())) if d else None), lookups
    ),
    lambda parts: st.one_of(
        st.builds(lambda a: (~a[0], opposite(a[1])), parts),
        st.builds(lambda a, b: (a[0] & b[0], opposite(either(opposite(a[1]), opposite(b[1])))), parts, parts),
        st.builds(lambda a, b: (a[0] | b[0], either(a[1], b[1])), parts, parts),
    ),
    max_leaves=5,
)


def shares_a_related_row(q: Q) -> bool:
    """Whether two conditions on one to-many relation meet: those are meant for one and the same row."""
    return str(q).count("tags") > 1 or str(q).count("reviews") > 1


@fixed
@given(qs)
def test_q_objects_are_two_valued_logic(session: Session, given_q: Any) -> None:
    q, test = given_q
    if shares_a_related_row(q):
        return
    expected = [row["id"] for row in ROWS if test is None or test(row)]
    rest = [row["id"] for row in ROWS if test is None or not test(row)]
    query = session.query(Book).order_by("id")
    assert [book.id for book in query.filter(q).all()] == expected
    assert [book.id for book in query.exclude(q).all()] == rest
    assert [book.id for book in query.filter(~q).all()] == rest


# Each makes a query of a shape; the numbers are its values.
SHAPES: list[Callable[[int], Query[Any]]] = [
    lambda n: Select(Book),
    lambda n: Select(Book.id),
    lambda n: Select(Book.id.label("x")),
    lambda n: Select(Book.id, Book.pages),
    lambda n: Select(Book.pages, Book.id),
    lambda n: Select(Book, Author.id).join(Book.author),
    lambda n: Select(Book).where(Book.id == n),
    lambda n: Select(Book).where(Book.id != n),
    lambda n: Select(Book).where(Book.pages == n),
    lambda n: Select(Book).where(Book.id == n, Book.pages == n),
    lambda n: Select(Book).where(Book.id == n).where(Book.pages == n),
    lambda n: Select(Book).where((Book.id == n) & (Book.pages == n)),
    lambda n: Select(Book).where((Book.id == n) | (Book.pages == n)),
    lambda n: Select(Book).where(~(Book.id == n)),
    lambda n: Select(Book).where(Book.id.in_([n])),
    lambda n: Select(Book).where(Book.id.not_in([n])),
    lambda n: Select(Book).where(Book.rating.in_([float(n)])),
    lambda n: Select(Book).where(Book.rating.in_([float(n), None])),
    lambda n: Select(Book).where(Book.id.between(n, n + 1)),
    lambda n: Select(Book).where(Book.id > n, Book.id < n + 9),
    lambda n: Select(Book).where(Book.title == str(n)),
    lambda n: Select(Book).where(Book.title.contains(str(n))),
    lambda n: Select(Book).where(Book.title.icontains(str(n))),
    lambda n: Select(Book).where(Book.title.startswith(str(n))),
    lambda n: Select(Book).where(Book.author.name == str(n)),
    lambda n: Select(Book).where(Book.editor.name == str(n)),
    lambda n: Select(Book).where(Book.tags.id == n),
    lambda n: Select(Book).where(Book.reviews.id == n),
    lambda n: Select(Book).order_by(Book.id),
    lambda n: Select(Book).order_by(Book.id.desc()),
    lambda n: Select(Book).order_by(Book.rating.desc().nulls_last()),
    lambda n: Select(Book).order_by(Book.rating.desc().nulls_first()),
    lambda n: Select(Book).limit(n),
    lambda n: Select(Book).offset(n),
    lambda n: Select(Book).limit(n).offset(n),
    lambda n: Select(Book).offset(n).limit(n).limit(None),
    lambda n: Select(Book).distinct(),
    lambda n: Select(Book).only("title"),
    lambda n: Select(Book).defer("title"),
    lambda n: Select(Book).select_related("author"),
    lambda n: Select(Book).select_related("editor"),
    lambda n: Select(Book).include("author"),
    lambda n: Select(Book).join(Book.author),
    lambda n: Select(Book).left_join(Book.author),
    lambda n: Select(Book).join(Author, on=Author.id == n),
    lambda n: Select(Book).join(Author, on=Author.id > n),
    lambda n: Select(Book).annotate(x=Book.pages + n),
    lambda n: Select(Book).annotate(y=Book.pages + n),
    lambda n: Select(Book).annotate(x=Book.pages * n),
    lambda n: Select(Book).annotate(x=func.count(Book.tags.id)),
    lambda n: Select(Book).annotate(x=func.count(Book.tags.id, distinct=True)),
    lambda n: Select(Book.author_id, func.count()).group_by(Book.author_id),
    lambda n: Select(Book.author_id, func.count()).group_by(Book.author_id).having(func.count() > n),
    lambda n: Select(Book.id, func.sum(Book.pages).over(order_by=Book.id)),
    lambda n: Select(Book.id, func.sum(Book.pages).over(partition_by=Book.id)),
    lambda n: Select(Book.id, func.sum(Book.pages).over(order_by=Book.id, rows=(-1, 0))),
    lambda n: Select(Book.id, cast(Book.pages, str)),
    lambda n: Select(Book.id, cast(Book.pages, float)),
    lambda n: Select(Book.id, literal(n)),
    lambda n: Select(Book.id, literal(str(n))),
    lambda n: Select(Book.id, sql("{n}", n=n)),
    lambda n: Select(Book.id, sql("{n}", n=n, type=str)),
    lambda n: Select(Book.id, sql("n")),
    lambda n: Select(Book.id, Book.meta["a"]),
    lambda n: Select(Book.id, Book.meta["a"].as_integer()),
    lambda n: Select(alias(Book, "a")),
    lambda n: Select(alias(Book, "b")),
    lambda n: Select(Author),
    lambda n: Select(Tag),
    lambda n: Select(Book).union(Select(Book)),
    lambda n: Select(Book).union(Select(Book), all=True),
    lambda n: Select(Book).union(Select(Book).where(Book.id == n)),
    lambda n: Select(Book).intersect(Select(Book)),
    lambda n: Select(Book).where(Book.author_id.in_(Select(Author.id))),
    lambda n: Select(Book).where(Book.author_id.in_(Select(Author.mentor_id))),
    lambda n: Select(Book).where(exists(Select(Author).where(Author.id == Book.author_id))),
    lambda n: Select(Book).where(exists(Select(Author).where(Author.id == Book.editor_id))),
]


@pytest.mark.requirement("R46")
def test_different_shapes_never_share_a_key() -> None:
    keys: dict[Any, int] = {}
    for number, shape in enumerate(SHAPES):
        one, other = shape(1), shape(2)
        assert one.key == other.key, f"shape {number} has its values in its key"
        assert hash(one.key) == hash(other.key)
        assert keys.setdefault(one.key, number) == number
        assert len(one.binds) == len(other.binds)


def test_a_cached_statement_gives_what_a_fresh_one_gives(library: Engine) -> None:
    for shape in SHAPES:
        shape(3).to_sql(library.dialect)
    for n in (0, 1, 4):
        for shape in SHAPES:
            cached = shape(n).to_sql(library.dialect)
            with Engine("sqlite://") as fresh:
                assert cached == shape(n).to_sql(fresh.dialect)


@fixed
@given(st.lists(conditions, min_size=1, max_size=2), st.lists(conditions, min_size=1, max_size=2))
def test_equal_keys_mean_equal_text(session: Session, one: list[Condition], other: list[Condition]) -> None:
    first = session.query(Book).where(*[c for c, _ in one])
    second = session.query(Book).where(*[c for c, _ in other])
    same_text = first.to_sql()[0] == second.to_sql()[0]
    if first.key == second.key:
        assert same_text
