"""Queries: order, size, joins, aggregates, windows, subqueries, sets, pages, updates and deletes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from blaze import (
    CTE,
    CapabilityError,
    DataError,
    Delete,
    Insert,
    MultipleResultsError,
    NoResultError,
    QueryError,
    Select,
    Update,
    ValidationError,
    alias,
    excluded,
    func,
    literal,
    row,
)
from blaze.testing.suite.harness import Database, done, each, scenario
from blaze.testing.suite.library import Author, Book, Copy, Edition, Publisher, Review, Tag
from blaze.testing.suite.models import Label, Person, Post

__all__ = [
    "test_aliases_join_a_table_to_itself",
    "test_count_and_exists_of_every_shape",
    "test_ctes",
    "test_delete_by_query",
    "test_delete_statements",
    "test_distinct",
    "test_explain_gives_text",
    "test_first_one_and_scalar",
    "test_insert_expressions",
    "test_insert_on_conflict",
    "test_insert_statements",
    "test_joins",
    "test_limits_and_offsets_stay_within_slices",
    "test_only_and_defer",
    "test_orders",
    "test_pages_cover_everything_once",
    "test_recursive_ctes",
    "test_rows_are_named_tuples",
    "test_rows_that_a_conflict_leaves_alone",
    "test_slices",
    "test_statements_for_all_rows_say_so",
    "test_subqueries_as_tables_and_values",
    "test_to_sql_and_iteration",
    "test_update_by_query",
    "test_update_statements",
    "test_what_is_calculated_is_rounded_to_the_places_of_its_column",
]


def ids(items: Any) -> list[Any]:
    """Give the keys of objects."""
    return [item.id for item in items]


ORDERS: dict[str, tuple[Any, list[int]]] = {
    "column": (lambda: (Book.price, Book.id), [5, 2, 7, 1, 4, 3, 6]),
    "descending": (lambda: (Book.price.desc(),), [6, 3, 4, 1, 7, 2, 5]),
    "name": (lambda: ("-pages",), [7, 1, 3, 6, 2, 4, 5]),
    "text": (lambda: (Book.title,), [5, 7, 4, 6, 1, 2, 3]),
    "path": (lambda: (Book.author.name, Book.id), [4, 5, 6, 1, 2, 3, 7]),
    "nulls first": (lambda: (Book.rating.asc().nulls_first(), Book.id), [3, 7, 5, 2, 1, 6, 4]),
    "nulls last": (lambda: (Book.rating.asc().nulls_last(), Book.id), [5, 2, 1, 6, 4, 3, 7]),
    "descending nulls first": (lambda: (Book.rating.desc().nulls_first(), Book.id), [3, 7, 4, 1, 6, 2, 5]),
    "descending nulls last": (lambda: (Book.rating.desc().nulls_last(), Book.id), [4, 1, 6, 2, 5, 3, 7]),
    "expression": (lambda: (func.length(Book.title), Book.id), [6, 7, 2, 1, 3, 4, 5]),
    "bool": (lambda: (Book.in_print, Book.id), [3, 6, 1, 2, 4, 5, 7]),
    "two": (lambda: (Book.author_id.desc(), Book.price), [7, 6, 5, 4, 2, 1, 3]),
}


@pytest.mark.parametrize("name", ORDERS)
@scenario
async def test_orders(db: Database, name: str) -> None:
    order, expected = ORDERS[name]
    async with db.session() as s:
        assert ids(await done(s.query(Book).order_by(*order()).all())) == expected
        assert ids(await done(s.query(Book).order_by(*order()).limit(3).all())) == expected[:3]
        assert ids(await done(s.query(Book).order_by(*order()).offset(5).all())) == expected[5:]


@pytest.mark.parametrize(
    "piece", [slice(0, 2), slice(2, 4), slice(5, None), slice(6, 100), slice(9, 12), slice(0, 0)]
)
@scenario
async def test_slices(db: Database, piece: slice) -> None:
    async with db.session() as s:
        query = s.query(Book).order_by("id")
        assert ids(await done(query[piece].all())) == [1, 2, 3, 4, 5, 6, 7][piece]
        assert await done(query[piece].count()) == len([1, 2, 3, 4, 5, 6, 7][piece])


@pytest.mark.parametrize("piece", [slice(1, 5), slice(2, None), slice(None, 3), slice(3, 3), slice(5, 20)])
@scenario
async def test_limits_and_offsets_stay_within_slices(db: Database, piece: slice) -> None:
    async with db.session() as s:
        part, expected = s.query(Book).order_by("id")[piece], [1, 2, 3, 4, 5, 6, 7][piece]
        for count in (0, 2, 9):
            assert ids(await done(part.limit(count).all())) == expected[:count]
            assert ids(await done(part.offset(count).all())) == expected[count:]
            assert ids(await done(part.limit(1).limit(count).all())) == expected[:count]
            assert ids(await done(part.limit(count).offset(1).all())) == expected[1:][:count]
            assert ids(await done(part.offset(1).limit(count).all())) == expected[1:][:count]
            assert (
                ids(await done(part.offset(1).limit(count)[1:].limit(1).all())) == expected[1:][:count][1:2]
            )
            assert await done(part.offset(count).count()) == len(expected[count:])
            assert await done(part.offset(count).exists()) == bool(expected[count:])
            first = await done(part.offset(count).first())
            assert ids([first] if first else []) == expected[count:][:1]
        assert ids(await done(part.limit(2).limit(None).all())) == expected


@pytest.mark.parametrize("name", ORDERS)
@scenario
async def test_pages_cover_everything_once(db: Database, name: str) -> None:
    order, _ = ORDERS[name]
    async with db.session() as s:
        query = s.query(Book).order_by(*order())
        whole = ids(await done(query.order_by(Book.id).all()))
        found: list[Any] = []
        pages = [await done(query.paginate(3))]
        while pages[-1].next is not None:
            pages.append(await done(query.paginate(3, after=pages[-1].next)))
        for page in pages:
            found += ids(page.items)
        assert found == whole
        back = await done(query.paginate(3, after=pages[-1].previous))
        assert ids(back.items) == ids(pages[-2].items)


@scenario
async def test_first_one_and_scalar(db: Database) -> None:
    async with db.session() as s:
        query = s.query(Book).order_by("id")
        assert (await done(query.first())).id == 1
        assert (await done(query.where(Book.id == 3).one())).id == 3
        assert await done(query.where(Book.id == 99).first()) is None
        assert await done(query.where(Book.id == 99).one_or_none()) is None
        assert await done(s.query(Book.title).where(Book.id == 6).scalar()) == "Kindred"
        assert await done(s.query(Book.title).where(Book.id == 99).scalar()) is None
        assert await done(s.query(Tag.name).order_by("id").scalars()) == ["sf", "classic", "short", "unused"]
        with pytest.raises(NoResultError):
            await done(query.where(Book.id == 99).one())
        with pytest.raises(MultipleResultsError):
            await done(query.one())
        with pytest.raises(MultipleResultsError):
            await done(query.one_or_none())


@scenario
async def test_count_and_exists_of_every_shape(db: Database) -> None:
    async with db.session() as s:
        query = s.query(Book)
        assert await done(query.count()) == 7
        assert await done(query.where(Book.price > 50).exists()) is True
        assert await done(query.where(Book.price > 500).exists()) is False
        assert await done(query.limit(3).count()) == 3
        assert await done(query.offset(5).count()) == 2
        assert await done(s.query(Book.author_id).distinct().count()) == 4
        assert await done(s.query(Book.author_id, func.count(Book.id)).group_by(Book.author_id).count()) == 4
        assert await done(s.query(Author.name, Book.title).join(Author.books).count()) == 7


@scenario
async def test_rows_are_named_tuples(db: Database) -> None:
    async with db.session() as s:
        row = await done(s.query(Book.title, Book.author.name.label("by")).where(Book.id == 4).one())
        assert row == ("Invisible Cities", "Italo")
        assert (row.title, row.by) == ("Invisible Cities", "Italo")
        pair = await done(s.query(Author, Book.title).join(Author.books).where(Book.id == 4).one())
        assert (pair.Author.name, pair.title) == ("Italo", "Invisible Cities")


@scenario
async def test_only_and_defer(db: Database) -> None:
    async with db.session() as s:
        book = await done(s.query(Book).only("title").where(Book.id == 6).one())
        assert book.title == "Kindred"
        await s.refresh(book)
        assert book.pages == 264
    async with db.session() as s:
        book = await done(s.query(Book).defer(Book.title).where(Book.id == 6).one())
        assert book.pages == 264


@scenario
async def test_distinct(db: Database) -> None:
    async with db.session() as s:
        assert sorted(await done(s.query(Book.author_id).distinct().scalars())) == [1, 2, 3, 4]
        assert await done(s.query(func.count(Book.author_id, distinct=True)).scalar()) == 4
        assert await done(s.query(func.sum(Review.stars, distinct=True)).scalar()) == 15


JOINS: dict[str, tuple[Any, list[Any]]] = {
    "path": (
        lambda s: (
            s.query(Author.name, Book.title).join(Author.books).where(Book.price > 11).order_by(Book.id)
        ),
        [("Ursula", "Wave in the Mind"), ("Octavia", "Kindred")],
    ),
    "left": (
        lambda s: s.query(Author.name, Book.title).left_join(Author.books).where(Book.id.is_(None)),
        [("Nobody", None)],
    ),
    "nested": (
        lambda s: (
            s.query(Author.name, func.count(Review.id))
            .join(Author.books.reviews)
            .group_by(Author.id)
            .group_by(Author.name)
            .order_by(Author.id)
        ),
        [("Ursula", 3), ("Italo", 3), ("Octavia", 1), ("Émile", 2)],
    ),
    "many to many": (
        lambda s: (
            s.query(Tag.name, func.count(Book.id))
            .left_join(Tag.books)
            .group_by(Tag.id, Tag.name)
            .order_by(Tag.id)
        ),
        [("sf", 3), ("classic", 3), ("short", 3), ("unused", 0)],
    ),
    "model on a condition": (
        lambda s: s.query(Author.name, Book.title).join(
            Book, on=(Book.editor_id == Author.id) & (Book.price > 50)
        ),
        [("Ursula", "Kindred")],
    ),
    "relation with a further condition": (
        lambda s: (
            s.query(Author.name, func.count(Book.id))
            .left_join(Author.books, on=Author.books.price > 10)
            .group_by(Author.id, Author.name)
            .order_by(Author.id)
        ),
        [("Ursula", 1), ("Italo", 1), ("Octavia", 1), ("Émile", 0), ("Nobody", 0)],
    ),
    "two foreign keys": (
        lambda s: (
            s.query(Book.title, Book.author.name, Book.editor.name)
            .join(Book.author)
            .join(Book.editor)
            .order_by(Book.id)
            .limit(1)
        ),
        [("The Dispossessed", "Ursula", "Italo")],
    ),
    "self": (
        lambda s: (
            s.query(Author.name, Author.mentor.name.label("mentor")).join(Author.mentor).order_by(Author.id)
        ),
        [("Italo", "Ursula"), ("Octavia", "Ursula"), ("Émile", "Octavia")],
    ),
    "composite key": (
        lambda s: (
            s.query(Edition.year, func.count(Copy.id))
            .join(Edition.copies)
            .group_by(Edition.year)
            .order_by(Edition.year)
        ),
        [(1999, 1), (2004, 2), (2010, 1)],
    ),
}


@pytest.mark.parametrize("name", JOINS)
@scenario
async def test_joins(db: Database, name: str) -> None:
    query, expected = JOINS[name]
    async with db.session() as s:
        assert await done(query(s).all()) == expected
        assert await done(query(s).count()) == len(expected)


@scenario
async def test_aliases_join_a_table_to_itself(db: Database) -> None:
    other = alias(Book, "other")
    async with db.session() as s:
        rows = await done(
            s.query(Book.title, other.title.label("dearer"))
            .join(other, on=(other.author_id == Book.author_id) & (other.price > Book.price))
            .order_by(Book.id, other.id)
            .all()
        )
        assert rows == [
            ("The Dispossessed", "Wave in the Mind"),
            ("The Lathe", "The Dispossessed"),
            ("The Lathe", "Wave in the Mind"),
            ("100% Cotton_Wool", "Invisible Cities"),
        ]


@scenario
async def test_subqueries_as_tables_and_values(db: Database) -> None:
    async with db.session() as s:
        stats = (
            Select(Book.author_id, func.sum(Book.price).label("total"))
            .group_by(Book.author_id)
            .alias("stats")
        )
        rows = await done(
            s.query(Author.name, stats.c.total)
            .join(stats, on=stats.c.author_id == Author.id)
            .order_by(stats.c.total.desc())
            .limit(2)
            .all()
        )
        assert rows == [("Octavia", Decimal("100.00")), ("Ursula", Decimal("29.49"))]
        n = Select(func.count(Book.id)).where(Book.author_id == Author.id)
        rows = await done(s.query(Author.name, n.label("n")).order_by("-n", Author.id).limit(1).all())
        assert rows == [("Ursula", 3)]
        assert await done(s.query(Author).where(n.label("n") > 1).count()) == 2


@scenario
async def test_ctes(db: Database) -> None:
    dear = CTE("dear", Select(Book.id, Book.author_id, Book.price).where(Book.price > 9))
    async with db.session() as s:
        query = (
            s.query(Author.name, func.count(dear.c.id).label("n"))
            .with_cte(dear)
            .join(dear, on=dear.c.author_id == Author.id)
            .where(Author.id.in_(Select(dear.c.author_id).where(dear.c.price < 12)))
            .group_by(Author.id, Author.name)
            .order_by(Author.id)
        )
        assert await done(query.all()) == [("Ursula", 2), ("Italo", 1)]


@scenario
async def test_recursive_ctes(db: Database) -> None:
    db.needs("recursive_cte")
    base = Select(Author.id, Author.name, Author.mentor_id).where(Author.id == 4)
    chain = CTE("chain", base)
    chain = chain.recurse(
        Select(Author.id, Author.name, Author.mentor_id).join(chain, on=chain.c.mentor_id == Author.id)
    )
    async with db.session() as s:
        rows = await done(s.query(chain.c.name).with_cte(chain).order_by(chain.c.id).scalars())
        assert rows == ["Ursula", "Octavia", "Émile"]
        assert (
            await done(s.query(Book).with_cte(chain).where(Book.author_id.in_(Select(chain.c.id))).count())
            == 5
        )


@scenario
async def test_explain_gives_text(db: Database) -> None:
    async with db.session() as s:
        assert await done(s.query(Book).where(Book.price > 1).explain())


@scenario
async def test_to_sql_and_iteration(db: Database) -> None:
    async with db.session() as s:
        text, params = s.query(Book).where(Book.pages > 300).to_sql()
        assert text.startswith("SELECT")
        assert list(params) == [300]
        assert [b.id async for b in each(s.query(Book).where(Book.pages > 300).order_by("id"))] == [1, 3, 7]
        result = await s.exec(Select(Book).order_by(Book.id).limit(2))
        assert ids(await done(result.all())) == [1, 2]
        assert (await s.exec_one(Select(Book).where(Book.id == 2))).id == 2
        assert await s.exec_scalar(Select(func.count(Book.id))) == 7


@scenario
async def test_update_by_query(db: Database) -> None:
    async with db.session() as s:
        book = await s.get_one(Book, 1)
        assert await done(s.query(Book).where(Book.author_id == 1).update(pages=Book.pages + 1)) == 3
        assert book.pages == 388
        assert await done(s.query(Book).filter(author__name="Italo").update(in_print=False, editor=None)) == 2
        assert await done(s.query(Book).where(Book.tags.name == "short").update(rating=5.0)) == 3
        assert await done(s.query(Book).where(Book.id == 99).update(pages=1)) == 0
        assert await done(s.query(Book.pages).where(Book.id == 2).scalar()) == 185
        assert await done(s.query(Book).where(Book.rating == 5.0).count()) == 3
        same = s.query(Book).where(Book.id == 2)
        assert await done(same.update(pages=185)) == 1  # rows met count, changed or not
        await s.rollback()
        assert book.pages == 387


@scenario
async def test_what_is_calculated_is_rounded_to_the_places_of_its_column(db: Database) -> None:
    async with db.session() as s:
        book = s.query(Book.price).where(Book.id == 1)
        for given, computed, stored in [
            ("10.00", Book.price / 3, "3.33"),
            ("10.00", Book.price / -8, "-1.25"),
            ("0.05", Book.price * Decimal("0.5"), "0.03"),
        ]:
            await done(s.query(Book).where(Book.id == 1).update(price=Decimal(given)))
            await done(s.query(Book).where(Book.id == 1).update(price=computed))
            assert str(await done(book.scalar())) == stored
        await s.commit()
        await done(s.query(Book).where(Book.id == 1).update(price=Decimal("99999999.99")))
        with pytest.raises(DataError):
            await done(s.query(Book).where(Book.id == 1).update(price=Book.price + 1))
        await s.rollback()
        assert str(await done(book.scalar())) == "0.03"


@scenario
async def test_update_statements(db: Database) -> None:
    async with db.session() as s:
        result = await s.exec(Update(Book).set(pages=Book.pages * 2).where(Book.author_id == 2))
        assert result.rowcount == 2
        result = await s.exec(
            Update(Book).set({Book.pages: 3}, in_print=False).where(Book.author.name == "Octavia")
        )
        assert result.rowcount == 1
        assert (await s.exec(Update(Book).set(pages=1).all_rows())).rowcount == 7


@scenario
async def test_delete_by_query(db: Database) -> None:
    async with db.session() as s:
        tag = await s.get_one(Tag, 4)
        assert await done(s.query(Review).filter(book__author__name="Italo").delete()) == 3
        assert await done(s.query(Review).where(Review.book.pages > 500).delete()) == 2
        assert await done(s.query(Tag).where(Tag.name == "unused").delete()) == 1
        assert await s.get(Tag, 4) is None
        assert await done(s.query(Review).count()) == 4
        await s.rollback()
        assert await s.get(Tag, 4) is tag


@scenario
async def test_delete_statements(db: Database) -> None:
    async with db.session() as s:
        assert (await s.exec(Delete(Review).where(Review.book.author.name == "Italo"))).rowcount == 3
        assert (await s.exec(Delete(Review).where(Review.stars == 2))).rowcount == 2
        assert (await s.exec(Delete(Review).all_rows())).rowcount == 4


@scenario
async def test_insert_statements(db: Database) -> None:
    async with db.session() as s:
        assert (await s.exec(Insert(Label).values(name="one"))).rowcount == 1
        pair = [{"name": "two", "id": 100_001}, {"name": "three", "id": 100_000}]
        assert (await s.exec(Insert(Label).values(pair))).rowcount == 2
        many = [{"name": f"n{n}"} for n in range(2_000)]
        assert (await s.exec(Insert(Label).values(many))).rowcount == 2_000
        assert await done(s.query(Label).count()) == 2_003
        person = Person(name="p")
        await s.add(person)
        await s.flush()
        await s.exec(Insert(Post).values(title="x", author=person))
        post = await done(s.query(Post).where(Post.title == "x").one())
        assert (post.rating, post.meta, post.words, post.author_id) == (0, {}, None, person.id)


@scenario
async def test_insert_expressions(db: Database) -> None:
    rows = [{"title": func.lower(literal("LOUD")), "rating": 1}, {"title": "plain", "rating": literal(1) + 1}]
    async with db.session() as s:
        person = Person(name="p")
        await s.add(person)
        await s.flush()
        given = [{**each_row, "author_id": Select(func.max(Person.id))} for each_row in rows]
        assert (await s.exec(Insert(Post).values(given))).rowcount == 2
        posts = await done(s.query(Post).order_by(Post.rating).all())
        assert [(p.title, p.rating, p.meta, p.author_id) for p in posts] == [
            ("loud", 1, {}, person.id),
            ("plain", 2, {}, person.id),
        ]
        with pytest.raises(ValidationError, match="title: 5"):
            await s.exec(Insert(Post).values(title=5, rating=literal(1), author=person))
        with pytest.raises(QueryError, match="list of dictionaries"):
            Insert(Post).values(Select(Post.id))
        if db.engine.dialect.features.row_values:
            pairs = row(Post.title, Post.rating)
            found = s.query(Post.title).where(pairs.in_([("loud", 1), ("plain", 3)]))
            assert await done(found.scalars()) == ["loud"]
            found = s.query(Post.title).where(pairs.not_in([("loud", 1), ("plain", 3)]))
            assert await done(found.scalars()) == ["plain"]


@scenario
async def test_insert_on_conflict(db: Database) -> None:
    db.needs("on_conflict")
    insert = Insert(Person).values([{"name": "U", "email": "u@x"}, {"name": "N", "email": "n@x"}])
    async with db.session() as s:
        known = Person(name="Ursula", email="u@x")
        await s.add(known)
        await s.flush()
        await s.exec(insert.on_conflict("email", do="nothing"))
        assert sorted(await done(s.query(Person.name).scalars())) == ["N", "Ursula"]
        assert known.name == "Ursula"
        await s.exec(insert.on_conflict("email", update={"name": excluded("name") + "!"}))
        assert sorted(await done(s.query(Person.name).scalars())) == ["N!", "U!"]
        assert (await s.get_one(Person, known.id)).name == "U!"


@scenario
async def test_rows_that_a_conflict_leaves_alone(db: Database) -> None:
    db.needs("on_conflict")
    insert = Insert(Label).values([{"name": "a"}, {"name": "b"}])
    alone = insert.on_conflict("name", do="nothing")
    async with db.session() as s:
        await s.exec(Insert(Label).values(name="a"))
        for expected in (1, 0):
            result = await s.exec(alone)
            assert "of 0 results" in repr(result) or db.asynchronous
            if db.has("conflict_rows"):
                assert result.rowcount == expected
            else:
                with pytest.raises(CapabilityError, match=r"upsert\(objects"):
                    assert result.rowcount
        assert (await s.exec(insert.on_conflict("name", update={"name": excluded("name")}))).rowcount == 2
        assert sorted(await done(s.query(Label.name).scalars())) == ["a", "b"]


@scenario
async def test_statements_for_all_rows_say_so(db: Database) -> None:
    async with db.session() as s:
        for statement in (Update(Book).set(pages=1), Delete(Book)):
            with pytest.raises(QueryError, match="all_rows"):
                await s.exec(statement)
        for attempt in (lambda: s.query(Book).update(pages=1), lambda: s.query(Book).delete()):
            with pytest.raises(QueryError, match="all_rows"):
                await done(attempt())
        assert await done(s.query(Publisher).count()) == 3
