"""Models with a table for each class: declarations, tables, statements, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

import pytest

from blaze import (
    Check,
    Engine,
    Field,
    ForeignKey,
    Index,
    Model,
    Session,
    Unique,
    Update,
    create_all,
    drop_all,
    field,
    foreign_key,
)
from blaze.errors import CapabilityError, ModelError, StaleDataError, UniqueError
from blaze.schema import SchemaBuilder

pytestmark = pytest.mark.requirement("R48", "R51")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with Engine(database_url) as engine:
        yield engine


class Media(Model):
    id: Field[int] = field(primary_key=True)
    title: Field[str] = field(unique=True)

    class Meta:
        discriminator = "type"


class Film(Media):
    minutes: Field[int] = field(index=True)
    note: Field[str] = field(server_default="'none'")

    class Meta:
        table = "films"
        constraints = [Check("minutes <> 0"), Unique("minutes", "note")]


class Short(Film):
    prize: Field[Optional[str]] = field(default=None)

    class Meta:
        joined = True


class Trailer(Film):
    """Stands in the table of its parent."""

    of: ForeignKey[Optional[Film]] = foreign_key()


MODELS = [Short, Media, Trailer, Film]


def test_every_class_has_its_table(engine: Engine) -> None:
    builder = SchemaBuilder(engine.dialect)
    sql = builder.create_table_sql(Film)
    assert '"id" INTEGER NOT NULL' in sql
    assert '"minutes" INTEGER NOT NULL' in sql
    assert '"of_id" INTEGER,' in sql
    assert 'FOREIGN KEY ("id") REFERENCES "media" ("id") ON DELETE CASCADE' in sql
    assert 'FOREIGN KEY ("of_id") REFERENCES "films" ("id")' in sql
    assert '"title"' not in sql
    assert 'REFERENCES "films" ("id") ON DELETE CASCADE' in builder.create_table_sql(Short)
    assert builder.create_table_sql(Trailer) == sql
    assert '"minutes"' not in builder.create_table_sql(Media)
    assert [text.split()[2] for text in builder.create_sql(MODELS) if "TABLE" in text] == [
        '"media"', '"films"', '"short"',
    ]  # fmt: skip
    create_all(engine, [Short])
    with Session(engine) as session:
        found = session.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1").all()
        assert [row[0] for row in found] == ["films", "media", "short"]
    drop_all(engine, MODELS)


def test_rows_stand_in_all_tables_of_a_class(engine: Engine) -> None:
    create_all(engine, MODELS)
    with Session(engine) as session:
        film = Film(title="f", minutes=90)
        session.add_all(
            [film, Short(title="s", minutes=9, prize="p"), Trailer(title="t", minutes=1, of=film)]
        )
        session.add(Media(title="m"))
        session.commit()
        assert film.note == "none"
    with Session(engine) as session:
        assert session.exec_scalar("SELECT count(*) FROM media") == 4
        assert session.exec_scalar("SELECT count(*) FROM films") == 3
        assert [tuple(row) for row in session.execute("SELECT id, prize FROM short")] == [(2, "p")]
        found = {o.title: o for o in session.query(Media)}
        assert {title: type(o).__name__ for title, o in found.items()} == {
            "f": "Film", "s": "Short", "t": "Trailer", "m": "Media",
        }  # fmt: skip
        assert (found["s"].minutes, found["s"].prize, found["t"].of) == (9, "p", found["f"])
        session.delete(found["s"])
        session.commit()
        assert session.exec_scalar("SELECT count(*) FROM films") == 2
        assert session.exec_scalar("SELECT count(*) FROM short") == 0


def test_one_statement_reads_a_class_and_only_joins_what_it_needs(engine: Engine) -> None:
    create_all(engine, MODELS)
    with Session(engine) as session:
        texts = [
            session.query(Film).to_sql()[0],
            session.query(Media).to_sql()[0],
            session.query(Film.title).to_sql()[0],
            session.query(Short.minutes).to_sql()[0],
        ]
        assert 'INNER JOIN "films"' in texts[0]
        assert 'LEFT JOIN "short"' in texts[0]
        assert (texts[1].count("LEFT JOIN"), texts[1].count("INNER JOIN")) == (2, 0)
        assert "JOIN" not in texts[2]
        assert 'INNER JOIN "films"' in texts[3]
        assert '"short"' not in texts[3]
        before = session.query_stats().total
        assert session.query(Film).count() == 0
        assert session.query(Media).all() == []
        assert session.query_stats().total == before + 2


def test_only_tables_with_changes_are_updated(engine: Engine) -> None:
    create_all(engine, MODELS)
    with Session(engine) as session:
        short = Short(title="s", minutes=9)
        session.add(short)
        session.commit()
        session.reset_query_stats()
        short.prize = "new"
        session.flush()
        (entry,) = [e for e in session.query_stats() if e.sql.startswith("UPDATE")]
        assert entry.sql.startswith('UPDATE "short"')
        session.reset_query_stats()
        short.title, short.minutes = "t", 10
        session.flush()
        texts = [e.sql.split()[1] for e in session.query_stats() if e.sql.startswith("UPDATE")]
        assert texts == ['"media"', '"films"']
        session.rollback()
        assert (short.title, short.minutes, short.prize) == ("s", 9, None)


def test_a_row_that_is_gone_is_noticed_in_every_table(engine: Engine) -> None:
    create_all(engine, MODELS)
    with Session(engine) as session:
        short = Short(title="s", minutes=9)
        session.add(short)
        session.commit()
        session.execute("DELETE FROM short")
        short.prize = "x"
        with pytest.raises(StaleDataError, match="UPDATE of 1 Short"):
            session.flush()
        session.rollback()


def test_an_error_in_a_later_table_leaves_nothing(engine: Engine) -> None:
    create_all(engine, MODELS)
    with Session(engine) as session:
        session.add(Film(title="a", minutes=1, note="x"))
        session.commit()
        film = Film(title="b", minutes=1, note="x")
        session.add(film)
        with pytest.raises(UniqueError):
            session.flush()
        assert film.id is None
        film.note = "y"
        session.commit()
        assert session.query(Film).count() == 2


def test_a_unique_value_of_a_joined_table_changes_hands(engine: Engine) -> None:
    create_all(engine, MODELS)
    with Session(engine) as session:
        one, two = Film(title="a", minutes=1, note="x"), Film(title="b", minutes=2, note="x")
        session.add_all([one, two])
        session.commit()
        one.minutes, two.minutes = 2, 1
        one.title, two.title = "b", "a"
        session.commit()
        session.delete(one)
        session.add(Trailer(title="b", minutes=2, note="x"))
        session.commit()
        assert sorted((o.title, type(o).__name__) for o in session.query(Film)) == [
            ("a", "Film"),
            ("b", "Trailer"),
        ]


def test_composite_and_natural_keys(engine: Engine) -> None:
    class Part(Model):
        maker: Field[str] = field(primary_key=True, init=True)
        number: Field[int] = field(primary_key=True, init=True)
        name: Field[str]

        class Meta:
            discriminator = "kind"

    class Wheel(Part):
        size: Field[int]

        class Meta:
            joined = True

    create_all(engine, [Part, Wheel])
    with Session(engine) as session:
        session.add_all([Wheel(maker="m", number=n, name=f"w{n}", size=n) for n in range(3)])
        session.commit()
        assert session.query(Wheel).where(Wheel.size > 0).update(size=9) == 2
        assert session.bulk_delete(Wheel, [("m", 0)]) == 1
        session.commit()
    with Session(engine) as session:
        wheel = session.get_one(Wheel, ("m", 1))
        assert (wheel.size, wheel.name, session.get(Part, maker="m", number=1)) == (9, "w1", wheel)
        assert session.exec_scalar("SELECT count(*) FROM wheel") == 2
        wheel.number = 7
        with pytest.raises(ModelError, match="key of a model with joined tables cannot change"):
            session.flush()
        session.rollback()


def test_deferred_columns_of_a_joined_table(engine: Engine) -> None:
    class Doc(Model):
        title: Field[str]

        class Meta:
            discriminator = "kind"

    class Book(Doc):
        text: Field[str] = field(deferred=True)
        data: Field[Optional[dict[str, int]]] = field(default=None)

        class Meta:
            joined = True

    create_all(engine, [Doc, Book])
    with Session(engine) as session:
        session.add_all([Book(title="a", text="A", data={"n": 1}), Book(title="b", text="B"), Doc(title="c")])
        session.commit()
    with Session(engine) as session:
        found = session.query(Doc).order_by("title").all()
        assert "text" not in found[0].to_dict()
        before = session.query_stats().total
        assert [o.text for o in found if isinstance(o, Book)] == ["A", "B"]
        assert session.query_stats().total == before + 1
        first = found[0]
        assert isinstance(first, Book)
        assert first.data == {"n": 1}
        session.refresh(first)
        first.data = {"n": 2}
        session.commit()
        assert session.query(Book).where(Book.text == "A").one().data == {"n": 2}


# --- what is refused


def test_what_one_statement_cannot_do(engine: Engine) -> None:
    create_all(engine, MODELS)
    with Session(engine) as session:
        with pytest.raises(
            CapabilityError, match=r"upsert\(\) is for one table, and a Film stands in media, films"
        ):
            session.upsert([Film(title="a", minutes=1)], conflict=[Film.title])
        with pytest.raises(CapabilityError, match="update them one after the other"):
            session.exec(Update(Film).set(title="x", minutes=3).where(Film.id == 1))
        with pytest.raises(CapabilityError, match="returning"):
            session.exec(Update(Film).set(minutes=3).where(Film.id == 1).returning(Film))


def test_indexes_over_two_tables(engine: Engine) -> None:
    class Base(Model):
        name: Field[str]

        class Meta:
            discriminator = "kind"

    class Wide(Base):
        size: Field[int]

        class Meta:
            joined = True
            indexes = [Index("name", "size")]

    with pytest.raises(ModelError, match=r"Index\('name', 'size'\) names fields of Base"):
        create_all(engine, Wide)


def test_a_table_that_is_not_joined() -> None:
    with pytest.raises(ModelError, match="joined = False"):

        class Odd(Media):
            class Meta:
                table = "odd"
                joined = False


def test_a_cascade_that_would_delete_half_an_object() -> None:
    class Owner(Model):
        name: Field[str] = field(default="")

    class Owned(Model):
        class Meta:
            discriminator = "kind"

    class Direct(Owned):
        owner: ForeignKey[Owner] = foreign_key(on_delete="CASCADE")

        class Meta:
            joined = True

    class Between(Owned):
        class Meta:
            joined = True

    class Below(Between):  # in the table of its parent
        owner: ForeignKey[Optional[Owner]] = foreign_key(on_delete="CASCADE")

    for model in (Direct, Below):
        with pytest.raises(
            ModelError, match=r"\.owner: on_delete='CASCADE' would delete .* declare the key in Owned"
        ):
            SchemaBuilder(Engine("sqlite://").dialect).create_table_sql(model)


def test_a_cascade_of_a_key_that_the_base_declares(engine: Engine) -> None:
    class Keeper(Model):
        name: Field[str] = field(default="")

    class Kept(Model):
        keeper: ForeignKey[Optional[Keeper]] = foreign_key(on_delete="CASCADE")

        class Meta:
            discriminator = "kind"

    class Jewel(Kept):
        carats: Field[int] = field(default=0)

        class Meta:
            joined = True

    create_all(engine, [Keeper, Kept, Jewel])
    try:
        with Session(engine) as session:
            session.add(Jewel(keeper=Keeper()))
            session.commit()
        with Session(engine) as session:
            session.delete(session.query(Keeper).one())
            session.commit()
            assert session.query(Kept).all() == []
            assert session.exec_scalar("SELECT COUNT(*) FROM jewel") == 0
    finally:
        drop_all(engine, [Keeper, Kept, Jewel])
