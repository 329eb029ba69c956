"""filter() and exclude(): Q objects and lookups by keyword."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from blaze import Engine, Field, ForeignKey, Model, Q, QueryError, Select, Session, field, foreign_key, func
from tests.query.conftest import Both
from tests.query.models import Author, Book, Copy, Edition, Genre, Tag


def ids(query: Any) -> list[Any]:
    return sorted(item.id for item in query.all())


@pytest.mark.parametrize(
    ("lookups", "expected"),
    [
        ({"title": "Kindred"}, [6]),
        ({"title__exact": "Kindred"}, [6]),
        ({"title__ne": "Kindred"}, [1, 2, 3, 4, 5, 7]),
        ({"pages__gt": 300}, [1, 3, 7]),
        ({"pages__gte": 304}, [1, 3, 7]),
        ({"pages__lt": 165}, [5]),
        ({"pages__lte": 165}, [4, 5]),
        ({"pages__in": [10, 165, 5000]}, [4, 5]),
        ({"pages__in": []}, []),
        ({"rating__in": [4.8, None]}, [3, 4, 7]),
        ({"pages__range": (100, 200)}, [2, 4]),
        ({"rating__isnull": True}, [3, 7]),
        ({"rating__isnull": False}, [1, 2, 4, 5, 6]),
        ({"rating": None}, [3, 7]),
        ({"rating__ne": None}, [1, 2, 4, 5, 6]),
        ({"title__contains": "the"}, [2, 3]),
        ({"title__icontains": "the"}, [1, 2, 3]),
        ({"title__startswith": "The"}, [1, 2]),
        ({"title__istartswith": "the"}, [1, 2]),
        ({"title__endswith": "Mind"}, [3]),
        ({"title__iendswith": "MIND"}, [3]),
        ({"title__iexact": "kindred"}, [6]),
        ({"title__like": "_indred"}, [6]),
        ({"title__ilike": "K%D"}, [6]),
        ({"title__contains": "%"}, [5]),
        ({"author__name": "Italo"}, [4, 5]),
        ({"author__mentor__name": "Ursula"}, [4, 5, 6]),
        ({"author": 2}, [4, 5]),
        ({"author__in": [2, 3]}, [4, 5, 6]),
        ({"author_id": 2}, [4, 5]),
        ({"editor": None}, [2, 5, 7]),
        ({"editor__isnull": True}, [2, 5, 7]),
        ({"editor__in": [1, None]}, [2, 4, 5, 6, 7]),
        ({"tags__name": "short"}, [4, 5, 6]),
        ({"tags__isnull": True}, [3, 7]),
        ({"tags": 3}, [4, 5, 6]),
        ({"tags__in": [1, 3]}, [1, 2, 4, 5, 6]),
        ({"reviews__stars__gte": 5}, [1, 4]),
        ({"genre": Genre.ESSAY, "in_print": True}, [5]),
        ({"price": 8}, [7]),
        ({"author__books__title": "Kindred"}, [6]),
        ({}, [1, 2, 3, 4, 5, 6, 7]),
    ],
)
@pytest.mark.requirement("R50")
def test_every_lookup_and_its_negation(
    session: Session, lookups: dict[str, Any], expected: list[int]
) -> None:
    query = session.query(Book)
    everything = {1, 2, 3, 4, 5, 6, 7}
    assert ids(query.filter(**lookups)) == expected
    assert ids(query.filter(Q(**lookups))) == expected
    if lookups and not any(key.endswith("__ne") for key in lookups):
        # What is excluded is exactly what is not found, NULL or not.
        rest = sorted(everything - set(expected))
        assert ids(query.exclude(**lookups)) == rest
        assert ids(query.filter(~Q(**lookups))) == rest
        assert ids(query.filter(~~Q(**lookups))) == expected


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        (Q(pages__lt=20) | Q(price__gt=50), [5, 6]),
        (Q(pages__lt=20) & Q(price__gt=50), []),
        (~Q(pages__lt=20) & ~Q(price__gt=50), [1, 2, 3, 4, 7]),
        (~(Q(pages__lt=20) | Q(rating=4.5)), [2, 3, 4, 7]),
        (Q(rating=4.5) | Q(rating=None), [1, 3, 6, 7]),
        (~(Q(rating=4.5) & Q(pages__gt=300)), [2, 3, 4, 5, 6, 7]),
        (Q(Q(pages__gt=100), title__startswith="The"), [1, 2]),
        (Q(author__name="Italo") | ~Q(tags__name="sf"), [3, 4, 5, 7]),
        (Q() | Q(id=1), [1]),
        (Q(id=1) | Q() | Q(id=2) | ~Q(), [1, 2]),
        (~Q() & Q(id=1) & Q(Q()), [1]),
    ],
)
def test_q_objects_combine(session: Session, q: Q, expected: list[int]) -> None:
    assert ids(session.query(Book).filter(q)) == expected
    assert ids(session.query(Book).exclude(q)) == sorted({1, 2, 3, 4, 5, 6, 7} - set(expected))


def test_negation_reckons_with_null_along_the_path(session: Session) -> None:
    # Books without publisher, and one whose publisher has no country, are not "of country US".
    query = session.query(Book)
    assert ids(query.exclude(publisher__country="US")) == [3, 4, 5, 6, 7]
    assert ids(query.exclude(publisher__name="Ace")) == [3, 4, 5, 6, 7]
    assert ids(query.exclude(editor__mentor__name="Ursula")) == [2, 4, 5, 6, 7]
    assert ids(query.exclude(editor=1)) == [1, 2, 3, 5, 7]
    assert ids(query.exclude(editor=None)) == [1, 3, 4, 6]


def test_the_example_of_the_documentation(session: Session) -> None:
    with session:
        query = Author.objects.filter(Q(name__icontains="URS") | ~Q(books__price__gt=50))
        assert ids(query) == [1, 2, 4, 5]
        assert ids(query.exclude(email__isnull=True)) == [1, 4]


def test_lookups_and_expressions_mix(session: Session) -> None:
    assert ids(session.query(Book).filter(Book.pages > 200, author__name="Ursula")) == [1, 3]
    assert ids(session.query(Book).exclude(Book.pages > 200, author__name="Ursula")) == [2, 4, 5, 6, 7]


def test_exclude_of_several_lookups_drops_what_matches_all_of_them(session: Session) -> None:
    query = session.query(Author)
    assert ids(query.exclude(books__price__gt=9, books__pages__lt=20)) == [1, 2, 3, 4, 5]
    assert ids(query.exclude(books__price__gt=9, books__pages__lt=200)) == [1, 3, 4, 5]


def test_a_lookup_takes_a_query(session: Session) -> None:
    italians = Select(Author).where(Author.name == "Italo")
    assert ids(session.query(Book).filter(author__in=italians)) == [4, 5]
    assert ids(session.query(Book).filter(author__in=session.query(Author).filter(name="Italo"))) == [4, 5]
    assert ids(session.query(Book).exclude(author__in=italians)) == [1, 2, 3, 6, 7]
    assert ids(session.query(Book).filter(pages__in=Select(Book.pages).where(Book.price > 50))) == [6]


def test_a_lookup_takes_objects(session: Session) -> None:
    italo = session.get_one(Author, 2)
    assert ids(session.query(Book).filter(author=italo)) == [4, 5]
    assert ids(session.query(Book).filter(author__in=[italo])) == [4, 5]
    assert ids(session.query(Book).filter(author__ne=italo)) == [1, 2, 3, 6, 7]
    assert ids(session.query(Book).filter(tags=session.get_one(Tag, 3))) == [4, 5, 6]
    edition = session.get_one(Edition, ("A", 2))
    assert ids(session.query(Copy).filter(edition=edition)) == [2, 3]
    assert ids(session.query(Copy).filter(edition__in=[edition])) == [2, 3]
    assert ids(session.query(Copy).exclude(edition=edition)) == [1, 4, 5]


def test_lookups_know_annotations(session: Session) -> None:
    query = session.query(Author).annotate(n=func.count(Author.books.id))
    assert ids(query.filter(n__gte=2)) == [1, 2]
    assert ids(query.filter(n=0)) == [5]
    assert [a.n for a in query.order_by("-n", "name").all()] == [3, 2, 1, 1, 0]


def test_lookups_work_on_rows_of_columns(session: Session) -> None:
    query = session.query(Book.title, Book.price).filter(author__name="Italo").order_by("-price")
    assert query.all() == [("Invisible Cities", Decimal("10.50")), ("100% Cotton_Wool", Decimal("0.10"))]


@pytest.mark.parametrize(
    ("lookups", "message"),
    [
        ({"titel": "x"}, "title"),
        ({"author__nmae": "x"}, "name"),
        ({"author__mentor__nmae": "x"}, "name"),
        ({"title__startwith": "x"}, "startswith"),
        ({"title__name__x": "x"}, "lookup"),
        ({"author__startswith": "x"}, "startswith"),
        ({"pages__range": 3}, "pair"),
        ({"pages__isnull": 1}, "True or False"),
        ({"pages__in": 3}, "list"),
        ({"author__in": 3}, "list"),
        ({"pages": "x"}, "pages"),
        ({"pages__contains": "x"}, "text"),
        ({"author": "x"}, "author"),
    ],
)
def test_what_is_wrong_with_a_lookup_is_told(session: Session, lookups: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        session.query(Book).filter(**lookups)
    with pytest.raises(QueryError, match=message):
        session.query(Book).exclude(Q(**lookups))


def test_what_cannot_be_combined_is_refused(session: Session) -> None:
    with pytest.raises(QueryError, match="where"):
        Q(Book.pages > 3)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="Q"):
        _ = Q(id=1) & (Book.id == 1)  # type: ignore[operator]
    with pytest.raises(QueryError, match="&"):
        _ = Q(id=1) and Q(id=2)
    with pytest.raises(QueryError, match="filter"):
        session.query(Book).where(Q(id=1))
    with pytest.raises(QueryError):
        session.query(Book).filter("id = 1")


async def test_lookups_work_in_both_sessions(both: Both) -> None:
    query = both.query(Book).filter(Q(author__name="Italo") | Q(tags__name="sf")).exclude(price__gt=50)
    assert sorted(b.id for b in await both(query.all())) == [1, 2, 4, 5]


class Feed(Model):
    """Its fields are named like what a relation path has itself."""

    id: Field[int] = field(primary_key=True)
    source: Field[str]
    target: Field[str]
    names: Field[str]


class Entry(Model):
    id: Field[int] = field(primary_key=True)
    feed: ForeignKey[Feed] = foreign_key(related_name="entries")


def test_lookups_reach_fields_of_any_name() -> None:
    with Engine("sqlite://") as engine, Session(engine) as session:
        session.create_all(Feed, Entry)
        session.add(Entry(feed=Feed(source="a", target="b", names="c")))
        session.commit()
        query = session.query(Entry).filter(feed__source="a", feed__target="b", feed__names="c")
        assert query.order_by("feed__source").count() == 1


def test_a_long_chain_of_alternatives(session: Session) -> None:
    q, condition = Q(id=1), Book.id == 1
    for number in range(2, 500):
        q |= Q(id=-number)
        condition |= Book.id == -number
    assert ids(session.query(Book).filter(q)) == [1]
    assert ids(session.query(Book).where(condition)) == [1]
    assert ids(session.query(Book).exclude(q)) == [2, 3, 4, 5, 6, 7]
