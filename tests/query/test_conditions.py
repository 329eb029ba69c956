"""where(): expressions, NULL, paths, to-many conditions, relation objects, composite keys."""

from __future__ import annotations

from datetime import date, timezone
from decimal import Decimal
from typing import Any

import pytest

from blaze import QueryError, Select, Session, alias, case, cast, exists, func, literal
from tests.query.conftest import Both
from tests.query.models import Author, Book, Copy, Edition, Genre, Profile, Publisher, Review, Tag, at


def ids(query: Any) -> list[Any]:
    return sorted(item.id for item in query.all())


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (lambda: Book.price < 10, [1, 2, 5, 7]),
        (lambda: Book.price <= Decimal("9.99"), [1, 2, 5, 7]),
        (lambda: Book.price == Decimal("10.5"), [4]),
        (lambda: Book.price != 8, [1, 2, 3, 4, 5, 6]),
        (lambda: Book.price > Decimal("9.994"), [3, 4, 6]),
        (lambda: Book.price.between(8, Decimal("10.50")), [1, 4, 7]),
        (lambda: Book.rating == 4.5, [1, 6]),
        (lambda: Book.rating == None, [3, 7]),  # noqa: E711
        (lambda: Book.rating != None, [1, 2, 4, 5, 6]),  # noqa: E711
        (lambda: Book.rating.is_(None), [3, 7]),
        (lambda: Book.rating.is_not(None), [1, 2, 4, 5, 6]),
        (lambda: Book.rating != 4.5, [2, 4, 5]),
        (lambda: ~(Book.rating == 4.5), [2, 4, 5]),
        (lambda: Book.rating > 4, [1, 4, 6]),
        (lambda: Book.in_print, [1, 2, 4, 5, 7]),
        (lambda: ~Book.in_print, [3, 6]),
        (lambda: Book.in_print.is_(False), [3, 6]),
        (lambda: Book.genre == Genre.ESSAY, [3, 5]),
        (lambda: Book.genre.in_([Genre.ESSAY, Genre.NOVEL]), [1, 2, 3, 4, 5, 6, 7]),
        (lambda: Book.published >= at(3), [4, 5, 6]),
        (lambda: Book.published == at(3).astimezone(timezone.utc), [4]),
        (lambda: Book.title.contains("100%"), [5]),
        (lambda: Book.title.contains("n_W"), [5]),
        (lambda: Book.title.contains("the"), [2, 3]),
        (lambda: Book.title.icontains("THE"), [1, 2, 3]),
        (lambda: Book.title.startswith("The "), [1, 2]),
        (lambda: Book.title.startswith("the "), []),
        (lambda: Book.title.istartswith("the "), [1, 2]),
        (lambda: Book.title.endswith("red"), [6]),
        (lambda: Book.title.iendswith("MIND"), [3]),
        (lambda: Book.title.like("%_Cities"), [4]),
        (lambda: Book.title.iexact("KINDRED"), [6]),
        (lambda: (Book.pages > 200) & (Book.pages < 400), [1, 3, 6]),
        (lambda: (Book.pages < 20) | (Book.price > 50), [5, 6]),
        (lambda: ~((Book.pages < 20) | (Book.price > 50)), [1, 2, 3, 4, 7]),
        (lambda: Book.pages * 2 > 700, [1, 7]),
        (lambda: Book.pages % 2 == 0, [2, 3, 5, 6]),
        (lambda: Book.price + Book.price == 21, [4]),
        (lambda: Book.price * 2 == Decimal("0.2"), [5]),
        (lambda: Book.editor_id == Book.author_id, []),
        (lambda: Book.editor_id < Book.author_id, [4, 6]),
        (lambda: Book.meta["lang"] == "en", [1, 2, 6]),
        (lambda: Book.meta["n"] == 3, [2]),
        (lambda: Book.meta["tags"][1] == "b", [5]),
        (lambda: func.lower(Book.title) == "kindred", [6]),
        (lambda: func.coalesce(Book.rating, 0.0) == 0.0, [3, 7]),
        (lambda: case((Book.pages > 300, "long"), else_="short") == "long", [1, 3, 7]),
        (lambda: cast(Book.pages, str) == "165", [4]),
        (lambda: literal(1) == literal(2), []),
    ],
)
def test_conditions_on_columns(session: Session, condition: Any, expected: list[int]) -> None:
    assert ids(session.query(Book).where(condition())) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([1], [1]),
        ((2, 3), [2, 3]),
        ({4, 5}, [4, 5]),
        (range(6, 100), [6, 7]),
        ((n for n in (1, 1, 2)), [1, 2]),
        (range(300_000), [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_in_takes_any_iterable_of_any_length(session: Session, values: Any, expected: list[int]) -> None:
    assert ids(session.query(Book).where(Book.id.in_(values))) == expected


def test_none_in_a_list_matches_null(session: Session) -> None:
    query = session.query(Book)
    assert ids(query.where(Book.rating.in_([4.8, None]))) == [3, 4, 7]
    assert ids(query.where(Book.rating.in_([None]))) == [3, 7]
    assert ids(query.where(Book.rating.not_in([4.8]))) == [1, 2, 5, 6]
    assert ids(query.where(Book.rating.not_in([4.8, None]))) == [1, 2, 5, 6]
    assert ids(query.where(Book.rating.not_in([]))) == [1, 2, 3, 4, 5, 6, 7]


def test_a_path_of_relations_joins_by_itself(session: Session) -> None:
    query = session.query(Book)
    assert ids(query.where(Book.author.name == "Italo")) == [4, 5]
    assert ids(query.where(Book.author.mentor.name == "Ursula")) == [4, 5, 6]
    assert ids(query.where(Book.author.mentor.mentor.name == "Ursula")) == [7]
    assert ids(query.where(Book.publisher.country.is_(None))) == [3, 6, 7]
    assert ids(query.where(Book.editor.name == "Ursula", Book.author.name != "Ursula")) == [4, 6]


def test_two_foreign_keys_to_one_table_are_told_apart(session: Session) -> None:
    found = session.query(Book).where(Book.author.name == "Italo", Book.editor.name == "Ursula").one()
    assert found.title == "Invisible Cities"


def test_a_key_reached_by_a_relation_needs_no_join(session: Session) -> None:
    sql, _ = session.query(Book).where(Book.author.id == 1).to_sql()
    assert "JOIN" not in sql


def test_a_condition_on_a_to_many_relation_gives_no_duplicates(session: Session) -> None:
    query = session.query(Author)
    assert [a.id for a in query.where(Author.books.pages > 10).order_by(Author.id).all()] == [1, 2, 3, 4]
    assert query.where(Author.books.pages > 10).count() == 4
    assert ids(session.query(Book).where(Book.tags.name.in_(["sf", "classic", "short"]))) == [1, 2, 4, 5, 6]
    assert ids(query.where(Author.books.tags.name == "short")) == [2, 3]
    assert ids(query.where(Author.books.reviews.stars == 5)) == [1, 2]


def test_conditions_of_one_where_concern_the_same_related_row(session: Session) -> None:
    query = session.query(Author)
    same = query.where(Author.books.pages > 300, Author.books.price > 11)
    assert ids(same) == [1]
    same = query.where((Author.books.pages < 20) & (Author.books.price > 9))
    assert ids(same) == []
    different = query.where(Author.books.pages < 20).where(Author.books.price > 9)
    assert ids(different) == [2]


def test_negating_a_to_many_condition_means_no_such_row(session: Session) -> None:
    query = session.query(Author)
    assert ids(query.where(~(Author.books.price > 50))) == [1, 2, 4, 5]
    assert ids(query.where(~((Author.books.price > 50) | (Author.books.pages > 500)))) == [1, 2, 5]
    assert ids(session.query(Book).where(~(Book.tags.name == "sf"))) == [3, 4, 5, 7]


def test_isnull_on_a_reverse_relation_means_has_none(session: Session) -> None:
    query = session.query(Author)
    assert ids(query.where(Author.books.is_(None))) == [5]
    assert ids(query.where(Author.books.is_not(None))) == [1, 2, 3, 4]
    assert ids(query.where(Author.profile.is_(None))) == [3, 4, 5]
    assert ids(query.where(Author.profile.is_not(None))) == [1, 2]
    assert ids(session.query(Book).where(Book.tags.is_(None))) == [3, 7]
    assert ids(session.query(Tag).where(Tag.books.is_(None))) == [4]
    assert ids(session.query(Book).where(Book.editor.is_(None))) == [2, 5, 7]


def test_a_relation_is_compared_with_an_object(session: Session) -> None:
    ursula, italo = session.get_one(Author, 1), session.get_one(Author, 2)
    query = session.query(Book)
    assert ids(query.where(Book.author == ursula)) == [1, 2, 3]
    assert ids(query.where(Book.author != ursula)) == [4, 5, 6, 7]
    assert ids(query.where(Book.editor == None)) == [2, 5, 7]  # noqa: E711
    assert ids(query.where(Book.author.in_([ursula, italo]))) == [1, 2, 3, 4, 5]
    assert ids(query.where(Book.author.in_([]))) == []
    assert ids(query.where(Book.editor.in_([ursula, None]))) == [2, 4, 5, 6, 7]
    assert ids(query.where(Book.editor.not_in([ursula]))) == [1, 3]
    assert ids(query.where(Book.editor.not_in([ursula, None]))) == [1, 3]
    assert ids(session.query(Author).where(Author.books == session.get_one(Book, 4))) == [2]
    assert ids(session.query(Book).where(Book.tags == session.get_one(Tag, 3))) == [4, 5, 6]


def test_a_relation_is_looked_for_in_a_query(session: Session) -> None:
    born = Select(Author).where(Author.born < date(1930, 1, 1))
    assert ids(session.query(Book).where(Book.author.in_(born))) == [1, 2, 3, 4, 5, 7]
    assert ids(session.query(Book).where(Book.author_id.in_(born))) == [1, 2, 3, 4, 5, 7]
    assert ids(session.query(Book).where(Book.editor.not_in(born))) == [3]
    assert ids(session.query(Book).where(Book.author.in_(born.order_by(Author.id).limit(1)))) == [1, 2, 3]
    columns = Select(Author.id).where(Author.name == "Italo")
    assert ids(session.query(Book).where(Book.author_id.in_(columns))) == [4, 5]
    assert ids(session.query(Book).where(Book.author_id == columns)) == [4, 5]


def test_composite_keys_are_compared_part_by_part(session: Session) -> None:
    first = session.get_one(Edition, ("A", 1))
    second = session.get_one(Edition, code="A", number=2)
    query = session.query(Copy)
    assert ids(query.where(Copy.edition == second)) == [2, 3]
    assert ids(query.where(Copy.edition != second)) == [1, 5]
    assert ids(query.where(Copy.edition.is_(None))) == [4]
    assert ids(query.where(Copy.edition.in_([first, second]))) == [1, 2, 3]
    assert ids(query.where(Copy.edition.in_([first, None]))) == [1, 4]
    assert ids(query.where(Copy.edition.not_in([first, second]))) == [5]
    assert ids(query.where(Copy.edition.in_([]))) == []
    assert ids(query.where(Copy.edition.in_(Select(Edition).where(Edition.year > 2000)))) == [2, 3, 5]
    assert ids(query.where(Copy.edition.year > 2000)) == [2, 3, 5]
    editions = session.query(Edition).where(Edition.copies.shelf == "y").all()
    assert [(e.code, e.number) for e in editions] == [("A", 2)]
    many = [Edition(code="A", number=n, year=0) for n in range(5_000)]
    assert ids(query.where(Copy.edition.in_(many))) == [1, 2, 3]


def test_a_subquery_refers_to_the_query_around_it(session: Session) -> None:
    other = alias(Book, "other")
    dearest = Select(func.max(other.price)).where(other.author_id == Book.author_id)
    assert ids(session.query(Book).where(Book.price == dearest)) == [3, 4, 6, 7]
    dearer = Select(other).where(other.author_id == Book.author_id, other.price > Book.price)
    assert ids(session.query(Book).where(~exists(dearer))) == [3, 4, 6, 7]
    books = Select(Book).where(Book.author_id == Author.id, Book.pages > 300)
    assert ids(session.query(Author).where(exists(books))) == [1, 4]


def test_comparison_with_a_wrong_type_fails_at_once() -> None:
    for wrong in (
        lambda: Book.price < "x",
        lambda: Book.pages == "12",
        lambda: Book.title == 5,
        lambda: Book.genre == "novel",
        lambda: Book.published > date(2024, 1, 1),
        lambda: Book.pages.in_([1, "2"]),
        lambda: Book.pages.in_("12"),
        lambda: Book.pages.between(1, "x"),
        lambda: Book.price == 0.1,
        lambda: Book.author == 5,
        lambda: Book.author == Tag(name="x"),
        lambda: Book.author.in_([1]),
        lambda: Book.pages < None,
    ):
        with pytest.raises(QueryError):
            wrong()
    with pytest.raises(QueryError, match=r"book\.price"):
        _ = Book.price < "x"


def test_a_new_object_has_no_key_to_compare_with(session: Session) -> None:
    with pytest.raises(QueryError, match="flush"):
        session.query(Book).where(Book.author == Author(name="new"))


def test_python_logic_on_expressions_is_refused(session: Session) -> None:
    query = session.query(Book)
    with pytest.raises(QueryError, match="&"):
        query.where(Book.price > 5 and Book.price < 20)
    with pytest.raises(QueryError, match="&"):
        query.where(not Book.in_print)
    with pytest.raises(QueryError, match="between"):
        query.where(5 < Book.price < 20)
    with pytest.raises(QueryError):
        query.where(Book.price in [5, 20])
    with pytest.raises(QueryError, match="compar"):
        query.where(Book.price is None)
    with pytest.raises(QueryError, match="parenthes"):
        query.where((Book.price > 5) & True)
    with pytest.raises(QueryError, match="exists"):
        bool(query)


def test_a_scalar_subquery_selects_one_column() -> None:
    with pytest.raises(QueryError, match="one column"):
        _ = Book.author_id == Select(Author.id, Author.name)


def test_a_list_from_a_query_has_as_many_columns_as_the_left_side(session: Session) -> None:
    with pytest.raises(QueryError, match="2 columns"):
        session.query(Book).where(Book.author_id.in_(Select(Author.id, Author.name))).all()


async def test_conditions_work_in_both_sessions(both: Both) -> None:
    query = both.query(Author).where(Author.books.price > 9, ~Author.profile.is_(None))
    assert [a.name for a in await both(query.order_by(Author.name).all())] == ["Italo", "Ursula"]
    assert await both(both.query(Review).where(Review.book.author.name == "Italo").count()) == 3
    assert await both(both.query(Publisher).where(Publisher.books.is_(None)).exists()) is False
    assert await both(both.query(Profile).where(Profile.author.books.pages > 500).exists()) is False
