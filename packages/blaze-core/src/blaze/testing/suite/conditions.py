"""Conditions and lookups: each finds the same rows on every backend."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from blaze import Q, QueryError, Select, case, cast, exists, func, literal
from blaze.testing.suite.harness import Database, done, scenario
from blaze.testing.suite.library import Author, Book, Copy, Edition, Genre, Review, Tag, at

__all__ = [
    "test_an_empty_q_says_nothing",
    "test_composite_keys_in_conditions",
    "test_conditions",
    "test_exclude_by_annotations_that_are_null",
    "test_exclude_drops_what_where_keeps_and_nothing_else",
    "test_exists_and_subqueries",
    "test_in_of_any_length",
    "test_lookups_and_their_negation",
    "test_objects_as_values",
    "test_q_objects",
    "test_remainders_of_floats",
    "test_to_many_conditions_give_no_duplicates",
    "test_wrong_lookups_are_refused",
]

ALL = [1, 2, 3, 4, 5, 6, 7]


def ids(items: Any) -> list[Any]:
    """Give the sorted keys of objects."""
    return sorted(item.id for item in items)


CONDITIONS: dict[str, tuple[Any, list[int]]] = {
    "less": (lambda: Book.price < 10, [1, 2, 5, 7]),
    "decimal at most": (lambda: Book.price <= Decimal("9.99"), [1, 2, 5, 7]),
    "decimal equal": (lambda: Book.price == Decimal("10.5"), [4]),
    "unequal": (lambda: Book.price != 8, [1, 2, 3, 4, 5, 6]),
    "decimal with more places": (lambda: Book.price > Decimal("9.994"), [3, 4, 6]),
    "between": (lambda: Book.price.between(8, Decimal("10.50")), [1, 4, 7]),
    "float": (lambda: Book.rating == 4.5, [1, 6]),
    "null": (lambda: Book.rating == None, [3, 7]),  # noqa: E711
    "not null": (lambda: Book.rating != None, [1, 2, 4, 5, 6]),  # noqa: E711
    "is null": (lambda: Book.rating.is_(None), [3, 7]),
    "is not null": (lambda: Book.rating.is_not(None), [1, 2, 4, 5, 6]),
    "unequal and null": (lambda: Book.rating != 4.5, [2, 4, 5]),
    "negation and null": (lambda: ~(Book.rating == 4.5), [2, 4, 5]),
    "bool": (lambda: Book.in_print, [1, 2, 4, 5, 7]),
    "not bool": (lambda: ~Book.in_print, [3, 6]),
    "bool is": (lambda: Book.in_print.is_(False), [3, 6]),
    "bool equal": (lambda: Book.in_print == True, [1, 2, 4, 5, 7]),  # noqa: E712
    "enum": (lambda: Book.genre == Genre.ESSAY, [3, 5]),
    "enum in": (lambda: Book.genre.in_([Genre.ESSAY]), [3, 5]),
    "moment": (lambda: Book.published >= at(3), [4, 5, 6]),
    "contains percent": (lambda: Book.title.contains("100%"), [5]),
    "contains underscore": (lambda: Book.title.contains("n_W"), [5]),
    "contains case": (lambda: Book.title.contains("the"), [2, 3]),
    "icontains": (lambda: Book.title.icontains("THE"), [1, 2, 3]),
    "startswith": (lambda: Book.title.startswith("The "), [1, 2]),
    "startswith case": (lambda: Book.title.startswith("the "), []),
    "istartswith": (lambda: Book.title.istartswith("the "), [1, 2]),
    "endswith": (lambda: Book.title.endswith("red"), [6]),
    "iendswith": (lambda: Book.title.iendswith("MIND"), [3]),
    "like": (lambda: Book.title.like("%_Cities"), [4]),
    "like case": (lambda: Book.title.like("%_cities"), []),
    "ilike": (lambda: Book.title.ilike("%_cities"), [4]),
    "iexact": (lambda: Book.title.iexact("KINDRED"), [6]),
    "equal case": (lambda: Book.title == "kindred", []),
    "fold umlauts": (lambda: Book.author.name.iexact("éMILE"), [7]),
    "and": (lambda: (Book.pages > 200) & (Book.pages < 400), [1, 3, 6]),
    "or": (lambda: (Book.pages < 20) | (Book.price > 50), [5, 6]),
    "not or": (lambda: ~((Book.pages < 20) | (Book.price > 50)), [1, 2, 3, 4, 7]),
    "times": (lambda: Book.pages * 2 > 700, [1, 7]),
    "modulo": (lambda: Book.pages % 2 == 0, [2, 3, 5, 6]),
    "modulo of a float": (lambda: Book.pages % 2.5 == 1.5, [2, 3, 6]),
    "division": (lambda: Book.pages / 2 == 92, [2]),
    "minus": (lambda: Book.pages - 10 == 0, [5]),
    "decimal sum": (lambda: Book.price + Book.price == 21, [4]),
    "decimal product": (lambda: Book.price * 2 == Decimal("0.2"), [5]),
    "columns": (lambda: Book.editor_id < Book.author_id, [4, 6]),
    "json text": (lambda: Book.meta["lang"] == "en", [1, 2, 6]),
    "json number": (lambda: Book.meta["n"] == 3, [2]),
    "json item": (lambda: Book.meta["tags"][1] == "b", [5]),
    "json missing": (lambda: Book.meta["lang"] == None, [3, 5]),  # noqa: E711
    "json as text": (lambda: Book.meta["lang"].as_text().startswith("i"), [4]),
    "json as int": (lambda: Book.meta["n"].as_integer() + 1 == 4, [2]),
    "json whole": (lambda: Book.meta == {"lang": "fr"}, [7]),
    "lower": (lambda: func.lower(Book.title) == "kindred", [6]),
    "upper": (lambda: func.upper(Book.author.name) == "ÉMILE", [7]),
    "length": (lambda: func.length(Book.author.name) == 5, [4, 5, 7]),
    "trim": (lambda: func.trim(literal("  x ") + literal("y ")) == "x y", ALL),
    "replace": (lambda: func.replace(Book.title, "Kin", "Hun") == "Hundred", [6]),
    "substr": (lambda: func.substr(Book.title, 5, 3) == "Lat", [2]),
    "concat": (lambda: (Book.author.name + "!") == "Italo!", [4, 5]),
    "coalesce": (lambda: func.coalesce(Book.rating, 0.0) == 0.0, [3, 7]),
    "nullif": (lambda: func.nullif(Book.pages, 10) == None, [5]),  # noqa: E711
    "greatest": (lambda: func.greatest(Book.pages, 300) == 300, [2, 4, 5, 6]),
    "least": (lambda: func.least(Book.pages, 10) == 10, ALL),
    "abs": (lambda: func.abs(Book.pages - 200) < 20, [2]),
    "round": (lambda: func.round(Book.price) == 10, [1]),
    "extract": (lambda: func.extract("day", Book.published) == 3, [4]),
    "case": (lambda: case((Book.pages > 300, "long"), else_="short") == "long", [1, 3, 7]),
    "cast to text": (lambda: cast(Book.pages, str) == "165", [4]),
    "cast to int": (lambda: cast(literal("165"), int) == Book.pages, [4]),
    "false": (lambda: literal(1) == literal(2), []),
    "path": (lambda: Book.author.mentor.name == "Ursula", [4, 5, 6]),
    "nullable path": (lambda: Book.editor.name == None, [2, 5, 7]),  # noqa: E711
    "to many": (lambda: Book.reviews.stars == 5, [1, 4]),
    "many to many": (lambda: Book.tags.name == "short", [4, 5, 6]),
    "negated to many": (lambda: ~(Book.tags.name == "sf"), [3, 4, 5, 7]),
}


@pytest.mark.parametrize("name", CONDITIONS)
@scenario
async def test_conditions(db: Database, name: str) -> None:
    condition, expected = CONDITIONS[name]
    if name.startswith("json ") and name != "json whole":
        db.needs("json_paths")
    async with db.session() as s:
        assert ids(await done(s.query(Book).where(condition()).all())) == expected
        assert await done(s.query(Book).where(condition()).count()) == len(expected)


@scenario
async def test_remainders_of_floats(db: Database) -> None:
    async with db.session() as s:
        one = s.query(
            Book.pages % 2.5,
            Book.rating % 2,
            Book.rating % 0.7,
            -Book.rating % 2,  # the sign is that of the first, as of integers
            Book.rating % -2,
            Book.rating % Book.pages,
        ).where(Book.id == 1)
        found = await done(one.one())
        assert found == pytest.approx((2.0, 0.5, 0.3, -0.5, 0.5, 4.5))
        assert {value.__class__ for value in found} == {float}
        nothing = s.query(Book.rating % 2, Book.pages % Book.rating).where(Book.id == 3)
        assert tuple(await done(nothing.one())) == (None, None)


LOOKUPS: list[tuple[dict[str, Any], list[int]]] = [
    ({"title": "Kindred"}, [6]),
    ({"title__exact": "Kindred"}, [6]),
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
    ({"editor": None}, [2, 5, 7]),
    ({"editor__isnull": True}, [2, 5, 7]),
    ({"editor__in": [1, None]}, [2, 4, 5, 6, 7]),
    ({"tags__name": "short"}, [4, 5, 6]),
    ({"tags__isnull": True}, [3, 7]),
    ({"tags__in": [1, 3]}, [1, 2, 4, 5, 6]),
    ({"reviews__stars__gte": 5}, [1, 4]),
    ({"genre": Genre.ESSAY, "in_print": True}, [5]),
    ({"price": 8}, [7]),
    ({"author__books__title": "Kindred"}, [6]),
]


@pytest.mark.parametrize("number", range(len(LOOKUPS)), ids=lambda n: ",".join(LOOKUPS[n][0]))
@scenario
async def test_lookups_and_their_negation(db: Database, number: int) -> None:
    lookups, expected = LOOKUPS[number]
    rest = sorted(set(ALL) - set(expected))
    async with db.session() as s:
        assert ids(await done(s.query(Book).filter(**lookups).all())) == expected
        assert ids(await done(s.query(Book).filter(Q(**lookups)).all())) == expected
        assert ids(await done(s.query(Book).exclude(**lookups).all())) == rest
        assert ids(await done(s.query(Book).filter(~Q(**lookups)).all())) == rest


QS: list[tuple[Any, list[int]]] = [
    (Q(pages__lt=20) | Q(price__gt=50), [5, 6]),
    (Q(pages__lt=20) & Q(price__gt=50), []),
    (~(Q(pages__lt=20) | Q(rating=4.5)), [2, 3, 4, 7]),
    (Q(rating=4.5) | Q(rating=None), [1, 3, 6, 7]),
    (~(Q(rating=4.5) & Q(pages__gt=300)), [2, 3, 4, 5, 6, 7]),
    (Q(author__name="Italo") | ~Q(tags__name="sf"), [3, 4, 5, 7]),
    (Q() | Q(pages__lt=20) | ~Q(Q()), [5]),
]


@pytest.mark.parametrize("number", range(len(QS)))
@scenario
async def test_q_objects(db: Database, number: int) -> None:
    q, expected = QS[number]
    async with db.session() as s:
        assert ids(await done(s.query(Book).filter(q).all())) == expected
        assert ids(await done(s.query(Book).exclude(q).all())) == sorted(set(ALL) - set(expected))


@scenario
async def test_an_empty_q_says_nothing(db: Database) -> None:
    async with db.session() as s:
        for q in (Q(), ~Q(), Q(Q()) | Q(), ~(Q() & ~Q())):
            assert ids(await done(s.query(Book).filter(q).all())) == ALL
            assert ids(await done(s.query(Book).exclude(q).all())) == ALL
            with pytest.raises(QueryError, match="all_rows"):
                await done(s.query(Book).filter(q).delete())


def conditions() -> list[Any]:
    """Give conditions that are NULL for some books."""
    return [
        Book.rating == 4.5,
        Book.rating != 4.5,
        ~(Book.rating == 4.5),
        Book.rating.in_([4.5, 4.8]),
        Book.rating.between(4.4, 4.6),
        Book.rating + 1 > 5,
        func.lower(Book.publisher.country) == "us",
        Book.editor.name == "Ursula",
        Book.editor == Author(id=1),  # type: ignore[call-arg]
        (Book.editor_id == 1) | (Book.pages < 20),
        ~((Book.editor_id == 1) & (Book.tags.name == "sf")),
        Book.editor.edited.rating > 4.6,
        Book.editor_id.in_(Select(Book.editor_id).where(Book.pages < 300)),
    ]


@pytest.mark.parametrize("number", range(13))
@scenario
async def test_exclude_drops_what_where_keeps_and_nothing_else(db: Database, number: int) -> None:
    condition = conditions()[number]
    async with db.session() as s:
        found = ids(await done(s.query(Book).where(condition).all()))
        rest = ids(await done(s.query(Book).exclude(condition).all()))
        assert found
        assert rest
        assert sorted(found + rest) == ALL
        joined = s.query(Book).left_join(Book.editor)
        assert ids(await done(joined.exclude(condition).all())) == rest
        assert ids(await done(s.query(Book).exclude(condition, Book.id > 0).all())) == rest


@scenario
async def test_exclude_by_annotations_that_are_null(db: Database) -> None:
    dear: Any = {"n__gt": 50}
    async with db.session() as s:
        for annotated in (
            s.query(Author).annotate(n=func.sum(Author.books.price)),
            s.query(Author).annotate(n=case((Author.name == "Octavia", 100))),
            s.query(Author).annotate(n=Select(func.max(Book.price)).where(Book.author_id == Author.id)),
        ):
            assert ids(await done(annotated.filter(**dear).all())) == [3]
            assert ids(await done(annotated.exclude(**dear).all())) == [1, 2, 4, 5]
            assert ids(await done(annotated.filter(~Q(**dear)).all())) == [1, 2, 4, 5]


@pytest.mark.parametrize("length", [0, 1, 1_000, 100_000])
@scenario
async def test_in_of_any_length(db: Database, length: int) -> None:
    features = db.dialect.features
    async with db.session() as s:
        if features.array_param == "expand" and length >= features.max_bind_params:  # one for each item
            with pytest.raises(QueryError):
                await done(s.query(Book).where(Book.id.in_(range(length))).all())
            assert s.statements == 0
            return
        expected = [n for n in ALL if n < length]
        assert ids(await done(s.query(Book).where(Book.id.in_(range(length))).all())) == expected
        names = [f"name {n}" for n in range(length)]
        assert await done(s.query(Author).where(Author.name.in_([*names, "Italo"])).count()) == 1
        if length <= 1_000:
            assert await done(s.query(Book).where(Book.id.not_in(range(length))).count()) == 7 - len(expected)


@scenario
async def test_objects_as_values(db: Database) -> None:
    async with db.session() as s:
        author = await s.get_one(Author, 2)
        assert ids(await done(s.query(Book).where(Book.author == author).all())) == [4, 5]
        assert ids(await done(s.query(Book).filter(author=author).all())) == [4, 5]
        assert ids(await done(s.query(Book).filter(author__in=[author]).all())) == [4, 5]
        tag = await s.get_one(Tag, 1)
        assert ids(await done(s.query(Book).filter(tags=tag).all())) == [1, 2, 6]


@scenario
async def test_composite_keys_in_conditions(db: Database) -> None:
    async with db.session() as s:
        edition = await s.get_one(Edition, ("A", 2))
        assert ids(await done(s.query(Copy).where(Copy.edition == edition).all())) == [2, 3]
        other = await s.get_one(Edition, ("B", 1))
        assert ids(await done(s.query(Copy).filter(edition__in=[edition, other]).all())) == [2, 3, 5]
        assert ids(await done(s.query(Copy).where(Copy.edition.year < 2005).all())) == [1, 2, 3]
        assert ids(await done(s.query(Copy).filter(edition=None).all())) == [4]
        found = await done(s.query(Edition).where(Edition.copies.shelf == "y").all())
        assert [(e.code, e.number) for e in found] == [("A", 2)]


@scenario
async def test_exists_and_subqueries(db: Database) -> None:
    async with db.session() as s:
        reviews = Select(Review.id).where(Review.book_id == Book.id, Review.stars > 4)
        assert ids(await done(s.query(Book).where(exists(reviews)).all())) == [1, 4]
        assert ids(await done(s.query(Book).where(~exists(reviews)).all())) == [2, 3, 5, 6, 7]
        largest = Select(func.max(Book.pages))
        assert ids(await done(s.query(Book).where(Book.pages == largest).all())) == [7]
        chosen = Select(Author.id).where(Author.name == "Italo")
        assert ids(await done(s.query(Book).where(Book.author_id.in_(chosen)).all())) == [4, 5]
        assert await done(s.query(Book).where(Book.author_id.not_in(chosen)).count()) == 5


@scenario
async def test_to_many_conditions_give_no_duplicates(db: Database) -> None:
    async with db.session() as s:
        assert ids(await done(s.query(Book).where(Book.reviews.stars > 0).all())) == [1, 2, 4, 6, 7]
        both = s.query(Book).where(Book.reviews.stars == 5, Book.reviews.stars == 4)
        assert ids(await done(both.all())) == []  # of one review
        apart = s.query(Book).where(Book.reviews.stars == 5).where(Book.reviews.stars == 4)
        assert ids(await done(apart.all())) == [1]
        assert await done(s.query(Author).filter(books__price__gt=5, books__pages__lt=200).count()) == 2


@scenario
async def test_wrong_lookups_are_refused(db: Database) -> None:
    async with db.session() as s:
        for lookups in ({"titel": 1}, {"title__contans": "x"}, {"author__nme": "x"}, {"pages": "x"}):
            with pytest.raises(QueryError):
                await done(s.query(Book).filter(**lookups).all())
        with pytest.raises(QueryError):
            await done(s.query(Book).where(Book.pages == "x").all())
        assert s.statements == 0
