"""Errors: the right class, the place, no values, and a session that goes on after a rollback."""

# ruff: noqa: PT012, PT017 - what raises here are blocks: their ends, or what stands in them

from __future__ import annotations

from typing import Any

import pytest

from blaze import (
    AsyncSession,
    BlazeError,
    CheckError,
    ConfigurationError,
    ConnectionConfig,
    DatabaseError,
    DataError,
    Engine,
    ForeignKeyError,
    Insert,
    IntegrityError,
    NotNullError,
    QueryError,
    Select,
    Session,
    SQLSyntaxError,
    UniqueError,
    Update,
    ValidationError,
    case,
    func,
    sql,
)
from blaze.testing.suite.harness import Database, done, scenario
from blaze.testing.suite.models import Comment, Label, Person, Post, Rating, Setting
from blaze.testing.suite.values import KINDS

__all__ = [
    "test_a_name_that_is_too_long",
    "test_a_nul_character",
    "test_a_wrong_option_is_refused",
    "test_errors_name_no_values",
    "test_expressions_are_no_values_of_objects",
    "test_infinite_floats",
    "test_integers_that_are_just_small_enough",
    "test_integers_that_become_too_large",
    "test_surrogates_are_refused",
    "test_the_engine_shows_no_password",
    "test_the_first_of_many_wrong_rows_takes_all_back",
    "test_unlimited_decimals_are_exact_or_refused",
    "test_violations",
    "test_wrong_sql",
]


# Of a row whose rating is 2**62; what a step on the way makes too large is too large, whatever follows.
TOO_LARGE: dict[str, Any] = {
    "sum": lambda: Post.rating + Post.rating,
    "difference": lambda: -Post.rating - Post.rating - 1,
    "product": lambda: Post.rating * Post.rating,
    "product with a number": lambda: Post.rating * 3,
    "remainder of a product": lambda: Post.rating * Post.rating % 7,
    "quotient of a product": lambda: Post.rating * 1000 / 2,
    "sum of products": lambda: func.sum(Post.rating * Post.rating),
    "inside a function": lambda: func.coalesce(Post.rating * 4, 0),
}


async def add(s: Any, *objects: Any) -> None:
    """Add and flush."""
    await s.add_all(objects)
    await s.flush()


def _person(s: Any) -> Any:
    return done(s.query(Person.id).scalar())


async def _twice_titled(s: Any) -> None:
    key = await _person(s)
    await add(s, Post(title="Emma", author_id=key))


async def _rated(s: Any) -> None:
    await add(s, Rating(stars=1))
    await done(s.query(Rating).all_rows().update(stars=-1))


# What is tried, the class, the name of the constraint, the columns.
VIOLATIONS: dict[str, tuple[Any, Any, Any, tuple[str, ...]]] = {
    "unique in a flush": (
        lambda s: add(s, Label(name="a"), Label(name="a")),
        UniqueError,
        "uq_suite_label_name",
        ("name",),
    ),
    "unique against the table": (
        lambda s: add(s, Person(name="x", email="jane@example.org")),
        UniqueError,
        "uq_suite_person_email",
        ("email",),
    ),
    "unique in bulk": (
        lambda s: s.bulk_insert([Label(name="b"), Label(name="b")]),
        UniqueError,
        "uq_suite_label_name",
        ("name",),
    ),
    "unique of several columns": (
        _twice_titled,
        UniqueError,
        "uq_suite_post_title_author_id",
        ("title", "author_id"),
    ),
    "unique in raw SQL": (
        lambda s: s.execute(
            "INSERT INTO suite_person (name, email) VALUES (?, ?)", ["x", "jane@example.org"]
        ),
        UniqueError,
        "uq_suite_person_email",
        ("email",),
    ),
    "unique in an update": (
        lambda s: done(s.query(Person).all_rows().update(email="same@example.org")),
        UniqueError,
        "uq_suite_person_email",
        ("email",),
    ),
    "key in a flush": (
        lambda s: add(
            s,
            Setting(name="s"),
        ),
        UniqueError,
        None,
        ("name",),
    ),
    "missing parent": (
        lambda s: add(s, Comment(text="x", post_id=10**9)),
        ForeignKeyError,
        None,
        ("post_id",),
    ),
    "missing parent in bulk": (
        lambda s: s.bulk_insert([Comment(text="x", post_id=10**9)]),
        ForeignKeyError,
        None,
        ("post_id",),
    ),
    "referenced row deleted": (
        lambda s: s.execute("DELETE FROM suite_country"),
        ForeignKeyError,
        None,
        ("country_id",),
    ),
    "check": (lambda s: add(s, Rating(stars=-1)), CheckError, "ck_suite_rating", ()),
    "check by query": (_rated, CheckError, "ck_suite_rating", ()),
    "null by query": (
        lambda s: done(s.query(Person).all_rows().update(name=None)),
        NotNullError,
        None,
        ("name",),
    ),
    "null in raw SQL": (
        lambda s: s.execute("INSERT INTO suite_person (name) VALUES (NULL)"),
        NotNullError,
        None,
        ("name",),
    ),
    "null by a missing column": (
        lambda s: s.execute("INSERT INTO suite_account (balance, changes, version) VALUES (1, 1, 1)"),
        NotNullError,
        None,
        ("owner",),
    ),
}


async def fill(db: Database) -> None:
    """Store what the violations meet."""
    from blaze.testing.suite.models import City, Country

    await db.save(
        Person(name="Jane", email="jane@example.org", posts=[Post(title="Emma")]),
        Person(name="June", email="june@example.org"),
        Setting(name="s"),
        City(name="Paris", country=Country(code="fr")),
    )


@pytest.mark.parametrize("name", VIOLATIONS)
@scenario
async def test_violations(db: Database, name: str) -> None:
    attempt, kind, constraint, columns = VIOLATIONS[name]
    if kind is ForeignKeyError:
        db.needs("foreign_keys")
    elif kind is CheckError:
        db.needs("check_constraints")
    await fill(db)
    async with db.session() as s:
        await s.add(Label(name="before"))
        await s.flush()
        with pytest.raises(kind) as caught:
            await attempt(s)
        error = caught.value
        assert isinstance(error, IntegrityError)
        assert isinstance(error.__cause__, Exception)
        assert error.statement is not None
        assert error.code is not None
        assert not error.retryable
        assert "jane@" not in str(error)
        if kind is ForeignKeyError:
            assert error.columns in ((), columns)  # those that refer, or none
        elif not db.has("constraint_names"):
            assert error.columns in ((), columns)
        elif kind is CheckError:
            assert error.constraint is not None
            assert error.constraint.startswith(str(constraint)) or error.constraint.startswith("ck_")
        else:
            assert error.columns == columns
            assert constraint is None or error.constraint == constraint
        await s.rollback()
        await s.add(Label(name="fine"))
        await s.commit()
    assert await db.rows(Select(Label.name)) == [("fine",)]
    assert len(await db.rows(Select(Person))) == 2


@scenario
async def test_the_first_of_many_wrong_rows_takes_all_back(db: Database) -> None:
    await fill(db)
    async with db.session() as s:
        with pytest.raises(UniqueError):
            await s.exec(Insert(Label).values([{"name": "a"}, {"name": "b"}, {"name": "a"}]))
        await s.rollback()
        with pytest.raises(UniqueError):
            await s.bulk_insert([Label(name=f"l{n % 700}") for n in range(1_000)])
        await s.rollback()
        assert await s.all(Label) == []


WRONG: dict[str, Any] = {
    "syntax": "SELEC 1",
    "table": "SELECT * FROM suite_no_such_table",
    "column": "SELECT nothing FROM suite_label",
    "function": "SELECT suite_no_such_function(1)",
    "insert": "INSERT INTO suite_label (nam) VALUES ('x')",
}


@pytest.mark.parametrize("name", WRONG)
@scenario
async def test_wrong_sql(db: Database, name: str) -> None:
    async with db.session() as s:
        with pytest.raises(SQLSyntaxError) as caught:
            await s.execute(WRONG[name])
        assert caught.value.statement is not None
        assert not caught.value.retryable
        await s.rollback()
        assert await s.exec_scalar("SELECT 1") == 1
        assert await s.all(Label) == []


@scenario
async def test_errors_name_no_values(db: Database) -> None:
    secret = "tops3cret"
    await db.save(Person(name="a", email=secret))
    async with db.session() as s:
        for attempt in (
            lambda: add(s, Person(name="b", email=secret)),
            lambda: s.execute("INSERT INTO suite_person (name, email) VALUES (?, ?)", ["x", secret]),
            lambda: s.execute(
                sql("INSERT INTO suite_person (name, email) VALUES ('tops3cret', {x})", x=secret)
            ),
        ):
            with pytest.raises(UniqueError) as caught:
                await attempt()
            assert secret not in str(caught.value)
            assert secret not in repr(caught.value)
            await s.rollback()


OF_POSTS: dict[str, Any] = {
    "title": lambda: func.upper(Post.title),
    "rating": lambda: Post.rating + 1,
    "meta": lambda: Post.meta["n"],
    "author_id": lambda: Post.author_id + 1,
}


@pytest.mark.parametrize("name", OF_POSTS)
@pytest.mark.parametrize("loaded", [False, True])
@scenario
async def test_expressions_are_no_values_of_objects(db: Database, loaded: bool, name: str) -> None:
    async with db.session() as s:
        post = Post(title="a")
        await s.add(post)
        if loaded:
            await s.commit()
            post = await done(s.query(Post).one())
        setattr(post, name, OF_POSTS[name]())
        with pytest.raises(ValidationError, match=rf"^Post( \(key \d+\))? is not valid: {name}: ") as caught:
            await s.flush()
        assert list(caught.value.errors) == [name]
        await s.rollback()


@scenario
async def test_a_nul_character(db: Database) -> None:
    """A text with NUL comes back, or is refused where it is written and where it is compared."""
    text = "a\0b"
    async with db.session() as s:
        await s.add(Label(name=text))
        try:
            await s.commit()
        except (ValidationError, DataError):
            await s.rollback()
            with pytest.raises((DataError, QueryError)):
                await s.all(Label, Label.name == text)
            await s.rollback()
        else:
            assert await done(s.query(Label.name).where(Label.name == text).scalar()) == text
        assert await done(s.query(Label).where(Label.name == "a").count()) == 0


@scenario
async def test_surrogates_are_refused(db: Database) -> None:
    async with db.session() as s:
        await s.add(Label(name="\ud800"))
        with pytest.raises(ValidationError):
            await s.flush()
        await s.rollback()
        with pytest.raises(BlazeError):
            await s.all(Label, Label.name == "\ud800")
        await s.rollback()
        with pytest.raises(BlazeError):
            await s.execute("SELECT id FROM suite_label WHERE name = ?", ["\udfff"])
        await s.rollback()
        assert await s.all(Label) == []


_OF = {kind.name: kind.model for kind in KINDS}


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
@scenario
async def test_infinite_floats(db: Database, value: float) -> None:
    """An infinity comes back, or is refused."""
    model = _OF["float"]
    async with db.session() as s:
        await s.add(model(value=value))
        try:
            await s.commit()
        except (ValidationError, DataError):
            await s.rollback()
            assert await s.all(model) == []
            return
    assert await db.rows(Select(model.value)) == [(value,)]


@pytest.mark.parametrize(
    "text", ["1E+300", "1E-300", "123456789012345678901234567890.123456789", "1E+34", "-0.0"]
)
@scenario
async def test_unlimited_decimals_are_exact_or_refused(db: Database, text: str) -> None:
    from decimal import Decimal

    model, value = _OF["decimal"], Decimal(text)
    async with db.session() as s:
        await s.add(model(value=value))
        try:
            await s.commit()
        except (ValidationError, DataError):
            await s.rollback()
            assert await s.all(model) == []
            return
    assert await db.rows(Select(model.value)) == [(value,)]


@scenario
async def test_a_name_that_is_too_long(db: Database) -> None:
    name = "x" * (db.dialect.max_identifier_bytes + 1)
    async with db.session() as s:
        with pytest.raises(QueryError, match="longer"):
            await done(s.query(Label.name.label(name)).all())
        longest = "x" * min(db.dialect.max_identifier_bytes, 1_000)
        await s.add(Label(name="v"))
        assert getattr(await done(s.query(Label.name.label(longest)).one()), longest) == "v"


@scenario
async def test_a_wrong_option_is_refused(db: Database) -> None:
    with pytest.raises(ConfigurationError):
        Engine(f"{db.engine.config.scheme}://?no_such_option=1")
    with pytest.raises(ConfigurationError):
        Engine(f"{db.engine.config.scheme}://?pool_size=many")


@scenario
async def test_the_engine_shows_no_password(db: Database) -> None:
    config = ConnectionConfig.from_dsn(f"{db.engine.config.scheme}://someone:tops3cret@127.0.0.1:1/nowhere")
    try:
        engine = Engine(config)
    except ConfigurationError as refused:  # files have no host
        assert "tops3cret" not in str(refused) + repr(config)
        return
    try:
        assert "tops3cret" not in repr(engine) + repr(config) + str(config)
        with pytest.raises((DatabaseError, ConfigurationError)) as caught:
            if db.asynchronous:
                async with AsyncSession(engine) as session:
                    await session.exec_scalar("SELECT 1")
            else:
                with Session(engine) as blocking:
                    blocking.exec_scalar("SELECT 1")
        seen: Any = caught.value
        while seen is not None:
            assert "tops3cret" not in str(seen) + repr(seen)
            seen = seen.__cause__ or seen.__context__
    finally:
        engine.dispose()


@pytest.mark.parametrize("name", TOO_LARGE)
@scenario
async def test_integers_that_become_too_large(db: Database, name: str) -> None:
    author = Person(name="ann")
    async with db.session() as s:
        await add(s, author, Post(title="much", rating=2**62, author=author))
        await done(s.commit())
        with pytest.raises(DataError):
            await done(s.query(TOO_LARGE[name]()).all())
        await done(s.rollback())
        if "quotient" not in name and "of products" not in name:
            with pytest.raises(DataError):
                await done(s.exec(Update(Post).set(rating=TOO_LARGE[name]()).all_rows()))
            await done(s.rollback())
        assert await done(s.query(Post.rating).scalars()) == [2**62]


@scenario
async def test_integers_that_are_just_small_enough(db: Database) -> None:
    author = Person(name="ann")
    async with db.session() as s:
        await add(s, author, Post(title="much", rating=2**62, author=author))
        row = s.query(
            Post.rating + (Post.rating - 1), -Post.rating * 2, (Post.rating - 1) * 2 + 1, Post.rating % 5
        )
        assert tuple(await done(row.one())) == (2**63 - 1, -(2**63), 2**63 - 1, 2**62 % 5)
        nothing = s.query(case((Post.rating < 0, 1)) * Post.rating * Post.rating)
        assert await done(nothing.scalar()) is None
