"""update() and delete() of queries; Insert, Update and Delete statements."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from blaze import (
    DataError,
    Delete,
    Engine,
    Field,
    Insert,
    IntegrityError,
    Model,
    QueryError,
    Select,
    Session,
    UniqueError,
    Update,
    alias,
    create_all,
    excluded,
    field,
    func,
)
from tests.query.conftest import Both
from tests.query.models import Author, Book, Copy, Edition, Genre, Review, Tag


def scalars(session: Session, sql: str) -> list[Any]:
    return session.execute(sql).scalars()


async def test_update_returns_the_number_of_rows(both: Both) -> None:
    query = both.query(Book)
    assert await both(query.where(Book.pages > 300).update(pages=1, price=Book.price * 2)) == 3
    assert await both(query.where(Book.pages == 1).count()) == 3
    assert await both(both.query(Book.price).where(Book.id == 1).scalar()) == Decimal("19.98")
    assert await both(query.where(Book.id == 99).update(pages=2)) == 0
    assert await both(query.all_rows().update(in_print=False)) == 7


async def test_delete_returns_the_number_of_rows(both: Both) -> None:
    assert await both(both.query(Review).where(Review.stars < 3).delete()) == 3
    assert await both(both.query(Review).count()) == 6
    assert await both(both.query(Review).all_rows().delete()) == 6


async def test_update_and_delete_over_relations(both: Both) -> None:
    assert await both(both.query(Book).where(Book.author.name == "Italo").update(pages=5)) == 2
    assert await both(both.query(Book).where(Book.tags.name == "sf", Book.price > 8).update(pages=6)) == 2
    assert await both(both.query(Book).join(Book.author).where(Author.name == "Ursula").update(pages=7)) == 3
    assert await both(both.query(Book).filter(author__mentor__name="Ursula").update(pages=8)) == 3
    assert await both(both.query(Review).where(Review.book.author.name == "Italo").delete()) == 3
    assert await both(both.query(Review).join(Review.book).where(Book.id == 1).delete()) == 2
    assert sorted(await both(both.query(Book.pages).scalars())) == [7, 7, 7, 8, 8, 8, 591]


async def test_update_and_delete_with_order_and_limit(both: Both) -> None:
    assert await both(both.query(Book).order_by(Book.price.desc()).limit(2).update(pages=0)) == 2
    assert await both(both.query(Book).where(Book.pages == 0).order_by("id").limit(1).delete()) == 1
    assert sorted(await both(both.query(Book.id).scalars())) == [1, 2, 4, 5, 6, 7]
    assert await both(both.query(Book).order_by("id").offset(4).delete()) == 2


async def test_update_and_delete_by_composite_keys(both: Both) -> None:
    newest = both.query(Edition).order_by(Edition.year.desc()).limit(1)
    assert await both(newest.update(year=2020)) == 1
    assert await both(both.query(Edition.code).where(Edition.year == 2020).scalar()) == "B"
    assert await both(both.query(Copy).all_rows().delete()) == 5
    assert await both(both.query(Edition).order_by(Edition.year).limit(2).delete()) == 2
    assert await both(both.query(Edition).where(Edition.copies.is_(None)).delete()) == 1


def test_update_takes_objects_of_relations(writer: Session) -> None:
    italo = writer.get_one(Author, 2)
    assert writer.query(Book).where(Book.id == 1).update(author=italo, editor=None) == 1
    assert writer.execute("SELECT author_id, editor_id FROM book WHERE id = 1").first() == (2, None)
    assert writer.query(Book).where(Book.id == 1).update(author=3) == 1
    edition = writer.get_one(Edition, ("B", 1))
    assert writer.query(Copy).where(Copy.id == 4).update(edition=edition) == 1
    assert writer.get_one(Copy, 4).edition is edition
    assert writer.query(Copy).where(Copy.id == 4).update(edition=("A", 1)) == 1
    with pytest.raises(QueryError, match="flush"):
        writer.query(Book).update(author=Author(name="new"))
    with pytest.raises(QueryError, match="Author"):
        writer.query(Book).update(author=Tag(name="x"))


def test_update_takes_expressions_and_subqueries(writer: Session) -> None:
    assert (
        writer.query(Book).where(Book.id == 1).update(title=func.upper(Book.title), pages=Book.pages + 1) == 1
    )
    assert writer.execute("SELECT title, pages FROM book WHERE id = 1").first() == ("THE DISPOSSESSED", 388)
    other = alias(Book, "other")
    longest = Select(func.max(other.pages)).where(other.author_id == Book.author_id)
    writer.query(Book).all_rows().update(pages=longest)
    assert scalars(writer, "SELECT pages FROM book ORDER BY id") == [388, 388, 388, 165, 165, 264, 591]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "nothing"),
        ({"titel": "x"}, "title"),
        ({"pages": "x"}, "pages"),
        ({"title": "x" * 101}, "title"),
        ({"price": Decimal("1.005")}, "price"),
        ({"tags": []}, "column"),
        ({"reviews": []}, "column"),
    ],
)
def test_updates_that_cannot_be(session: Session, values: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        session.query(Book).where(Book.id == 1).update(**values)


def test_update_of_what_is_no_set_of_objects(session: Session) -> None:
    with pytest.raises(QueryError, match="objects"):
        session.query(Book.title).update(title="x")
    with pytest.raises(QueryError, match="objects"):
        session.query(Book.title).delete()
    with pytest.raises(QueryError, match="works with"):
        session.query(Book).group_by(Book.author_id).update(pages=1)


def test_an_update_of_null_where_there_must_be_a_value(writer: Session) -> None:
    with pytest.raises(IntegrityError):
        writer.query(Book).all_rows().update(title=None)
    assert writer.query(Book).count() == 7


def test_what_is_calculated_must_fit_its_column() -> None:
    """SQLite itself knows no lengths; the databases of servers refuse what is too long."""

    class Short(Model):
        id: Field[int] = field(primary_key=True)
        name: Field[str] = field(max_length=4)
        long: Field[str] = field(max_length=40)
        price: Field[Decimal] = field(precision=4, scale=1)

    with Engine("sqlite://") as engine, Session(engine) as session:
        create_all(engine, [Short])
        session.add(Short(name="four", long="longer", price=Decimal("99.9")))
        session.commit()
        for change in [
            {"name": Short.name + "!"},
            {"name": Short.long},
            {"name": func.lower(Short.long)},
            {"price": Short.price * 100},
        ]:
            with pytest.raises(DataError, match=r"too long|longer than"):
                session.query(Short).all_rows().update(**change)
            session.rollback()
        session.query(Short).all_rows().update(
            name=func.upper(Short.name), long=Short.name + Short.name, price=Short.price * 10 / 3
        )
        assert session.query(Short.name, Short.long, Short.price).one() == (
            "FOUR",
            "fourfour",
            Decimal("333.0"),
        )
        upsert = Insert(Short).values(id=1, name="five", long="x", price=Decimal("1.5"))
        session.exec(upsert.on_conflict("id", update={"name": excluded("name"), "price": Short.price / 7}))
        assert session.query(Short.name, Short.price).one() == ("five", Decimal("47.6"))
        with pytest.raises(DataError):
            session.exec(upsert.on_conflict("id", update={"name": Short.name + excluded("name")}))
        session.rollback()


async def test_loaded_objects_follow_an_update(both: Both) -> None:
    book = await both(both.session.get(Book, 1))
    other = await both(both.session.get(Book, 2))
    await both(both.query(Book).where(Book.id == 1).update(pages=Book.pages + 1, in_print=False, editor=None))
    again = await both(both.query(Book).where(Book.id == 1).one())
    assert again is book
    assert (book.pages, book.in_print, book.editor_id) == (388, False, None)
    assert (other.pages, other.in_print) == (184, True)
    assert both.session.dirty == []


async def test_rolling_an_update_back_restores_the_loaded_objects(both: Both) -> None:
    book = await both(both.session.get(Book, 1))
    await both(both.query(Book).all_rows().update(pages=0))
    assert book.pages == 0
    await both(both.session.rollback())
    assert book.pages == 387
    assert (await both(both.session.get(Book, 1))) is book


async def test_a_deleted_row_is_no_longer_found(both: Both) -> None:
    tag = await both(both.session.get(Tag, 4))
    kept = await both(both.session.get(Tag, 1))
    await both(both.query(Tag).where(Tag.name == "unused").delete())
    assert await both(both.session.get(Tag, 4)) is None
    assert await both(both.session.get(Tag, 1)) is kept
    assert tag.name == "unused"
    await both(both.session.rollback())
    assert await both(both.session.get(Tag, 4)) is tag


def test_a_changed_object_is_written_before_the_update(writer: Session) -> None:
    book = writer.get_one(Book, 1)
    book.title = "Changed"
    assert writer.query(Book).where(Book.title == "Changed").update(pages=3) == 1
    assert (book.title, book.pages) == ("Changed", 3)
    writer.commit()
    assert writer.execute("SELECT title, pages FROM book WHERE id = 1").first() == ("Changed", 3)


@pytest.mark.requirement("R41")
async def test_insert_statements(both: Both) -> None:
    exec_ = both.session.exec
    result = await both(exec_(Insert(Tag).values(name="one")))
    assert result.rowcount == 1
    result = await both(exec_(Insert(Tag).values([{"name": "two"}, {"name": "three", "id": 50}])))
    assert result.rowcount == 2
    result = await both(exec_(Insert(Tag).values([{"name": f"n{n}"} for n in range(2_000)])))
    assert result.rowcount == 2000
    assert await both(both.query(Tag).count()) == 4 + 1 + 2 + 2000
    rows = await both((await both(exec_(Insert(Tag).values(name="four").returning(Tag.id, Tag.name)))).all())
    assert rows[0].name == "four"
    tags = await both(
        (await both(exec_(Insert(Tag).values([{"name": "five"}, {"name": "six"}]).returning(Tag)))).all()
    )
    assert [tag.name for tag in tags] == ["five", "six"]
    assert await both(both.session.get(Tag, tags[0].id)) is tags[0]


def test_insert_fills_defaults_and_takes_relations(writer: Session) -> None:
    author = writer.get_one(Author, 1)
    writer.exec(Insert(Book).values(title="x", pages=1, price=Decimal("1.5"), author=author, publisher=None))
    book = writer.query(Book).order_by("-id").first()
    assert book is not None
    assert (book.genre, book.in_print, book.meta, book.author, book.publisher_id) == (
        Genre.NOVEL, True, {}, author, None,
    )  # fmt: skip


async def test_insert_on_conflict(both: Both) -> None:
    exec_ = both.session.exec
    insert = Insert(Author).values(
        [{"name": "U", "email": "ursula@example.org"}, {"name": "N", "email": "n@x"}]
    )
    assert (await both(exec_(insert.on_conflict("email", do="nothing")))).rowcount == 1
    rows = await both(exec_(insert.on_conflict("email", do="nothing").returning(Author.name)))
    assert await both(rows.all()) == []
    update = {"name": excluded("name")}
    rows = await both(exec_(insert.on_conflict("email", update=update).returning(Author.id, Author.name)))
    assert sorted(await both(rows.all()))[0] == (1, "U")
    assert (await both(both.session.get(Author, 1))).name == "U"


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("returning", [False, True])
def test_conflicts_updated_by_values_and_expressions(writer: Session, rows: int, returning: bool) -> None:
    given = [{"id": n + 1, "name": f"new{n}"} for n in range(rows)]
    insert = Insert(Tag).values(given).on_conflict("id", update={"name": excluded(Tag.name).concat("!", "?")})
    writer.exec(insert.returning(Tag) if returning else insert)
    names = scalars(writer, "SELECT name FROM tag ORDER BY id")
    assert names[:rows] == [f"new{n}!?" for n in range(rows)]
    insert = Insert(Review).values([{"id": n + 1, "stars": 9, "book_id": 7} for n in range(rows)])
    insert = insert.on_conflict(
        Review.id, update={Review.stars: Review.stars + excluded("stars") + 100, "book_id": 6}
    )
    writer.exec(insert.returning(Review.id, (Review.stars + 1).label("x")) if returning else insert)
    found = writer.execute("SELECT stars, book_id FROM review ORDER BY id").all()[:rows]
    assert found == [(5 + 109, 6), (4 + 109, 6), (3 + 109, 6)][:rows]


def test_inserts_that_cannot_be(writer: Session) -> None:
    for bad in (
        lambda: writer.exec(Insert(Tag)),
        lambda: writer.exec(Insert(Tag).values(nmae="x")),
        lambda: writer.exec(Insert(Book).values(tags=[1])),
        lambda: Insert(Tag).values([{"name": "x"}], name="y"),
        lambda: Insert(Tag).values(name="x").on_conflict("name"),
        lambda: Insert(Tag).values(name="x").on_conflict("name", do="update"),  # type: ignore[arg-type]
        lambda: writer.exec(Insert(Tag).values(name="x").on_conflict("nmae", do="nothing")),
        lambda: writer.exec(Insert(Book).values(title="x", author=Author(name="new"))),
        lambda: Insert(int),  # type: ignore[type-var]
        lambda: writer.exec(Insert(Tag).values([{Tag.name: "x"}])),  # type: ignore[list-item]
    ):
        with pytest.raises(QueryError):
            bad()
    with pytest.raises(UniqueError):
        writer.exec(Insert(Tag).values(name="sf"))


async def test_update_statements(both: Both) -> None:
    exec_ = both.session.exec
    result = await both(exec_(Update(Book).set(pages=Book.pages * 2).where(Book.author_id == 2)))
    assert result.rowcount == 2
    result = await both(exec_(Update(Book).set({Book.pages: 3}, in_print=False).where(Book.id == 1)))
    assert result.rowcount == 1
    rows = await both(
        exec_(Update(Book).set(pages=4).where(Book.author.name == "Octavia").returning(Book.id, Book.pages))
    )
    assert await both(rows.all()) == [(6, 4)]
    books = await both(
        (await both(exec_(Update(Book).set(pages=5).where(Book.id == 6).returning(Book)))).all()
    )
    assert (books[0].id, books[0].pages) == (6, 5)
    assert (await both(exec_(Update(Book).set(pages=1).all_rows()))).rowcount == 7
    assert books[0].pages == 1


async def test_delete_statements(both: Both) -> None:
    exec_ = both.session.exec
    assert (await both(exec_(Delete(Review).where(Review.book.author.name == "Italo")))).rowcount == 3
    rows = await both(exec_(Delete(Review).where(Review.stars == 2).returning(Review.book_id)))
    assert await both(rows.all()) == [(7,), (7,)]
    assert (await both(exec_(Delete(Review).all_rows()))).rowcount == 4


@pytest.mark.parametrize("statement", [lambda: Update(Book).set(pages=1), lambda: Delete(Book)])
def test_a_statement_for_every_row_says_so(writer: Session, statement: Any) -> None:
    with pytest.raises(QueryError, match="all_rows"):
        writer.exec(statement())
    assert writer.query(Book).count() == 7


def test_statements_that_cannot_be(writer: Session) -> None:
    for bad in (
        lambda: Update(Book).set(titel="x"),
        lambda: writer.exec(Update(Book).all_rows()),
        lambda: Update(Book).set({Author.name: "x"}),
        lambda: Update(Book).where(True),  # type: ignore[arg-type]
        lambda: Delete(Book).where("id = 1"),  # type: ignore[arg-type]
        lambda: writer.exec(Update(Book).set(pages="x").all_rows()),
        lambda: writer.exec(Update(Book).set(pages=Book.author.id).set(title=Book.author.name).all_rows()),
        lambda: writer.exec(Update(Book).set(pages=1).all_rows().returning("id")),  # type: ignore[call-overload]
        lambda: writer.exec(5),
        lambda: writer.exec(Book),
    ):
        with pytest.raises(QueryError):
            bad()


def test_statements_are_values(writer: Session) -> None:
    base = Update(Book).set(pages=1)
    one, two = base.where(Book.id == 1), base.where(Book.id == 2)
    assert writer.exec(one).rowcount == writer.exec(two).rowcount == 1
    assert writer.query(Book).where(Book.pages == 1).count() == 2
    with pytest.raises(QueryError, match="all_rows"):
        writer.exec(base)


async def test_excluded_names_a_field_of_the_new_row(both: Both) -> None:
    insert = Insert(Author).values(name="a", email="q")
    wrong = insert.on_conflict("email", update={"name": excluded("nam")})
    with pytest.raises(QueryError, match=r"excluded\('nam'\).*did you mean 'name'"):
        await both(both.session.exec(wrong))
    with pytest.raises(QueryError, match="nothing elsewhere"):
        await both(both.session.exec(Update(Author).set(name=excluded("name")).all_rows()))
    await both(both.session.exec(insert.on_conflict("email", update={"name": excluded("name")})))
    await both(both.session.rollback())
