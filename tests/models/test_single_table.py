"""Several models in one table: declarations, the table, and what is refused."""

from __future__ import annotations

import enum
import pickle
from collections.abc import Iterator
from typing import Any, Optional

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
    create_all,
    drop_all,
    field,
    foreign_key,
)
from blaze.errors import ModelError, QueryError, ValidationError
from blaze.schema import SchemaBuilder

pytestmark = pytest.mark.requirement("R48", "R51")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with Engine(database_url) as engine:
        yield engine


class Vehicle(Model):
    id: Field[int] = field(primary_key=True)
    plate: Field[str] = field(unique=True)

    class Meta:
        discriminator = "type"


class Car(Vehicle):
    seats: Field[int]
    color: Field[str] = field(default="red", index=True)

    class Meta:
        indexes = [Index("plate", "seats")]
        constraints = [Check("seats > 0"), Unique("seats", "color")]


def test_the_table_has_the_columns_of_all_models(engine: Engine) -> None:
    builder = SchemaBuilder(engine.dialect)
    sql = builder.create_table_sql(Car)
    assert sql == builder.create_table_sql(Vehicle)
    assert '"type" TEXT NOT NULL' in sql
    assert '"seats" INTEGER,' in sql
    assert '"color" TEXT,' in sql
    assert "CHECK (seats > 0)" in sql
    assert 'UNIQUE ("seats", "color")' in sql
    assert [text.split(" ON ")[0] for text in builder.index_sql(Car)] == [
        'CREATE INDEX "ix_vehicle_color"',
        'CREATE INDEX "ix_vehicle_plate_seats"',
    ]
    create_all(engine, [Car, Vehicle])
    with Session(engine, auto_commit=True) as session:
        session.add_all([Car(plate="a", seats=4), Vehicle(plate="b")])
    with Session(engine) as session:
        assert [
            tuple(row) for row in session.execute("SELECT plate, seats, type FROM vehicle ORDER BY 1")
        ] == [
            ("a", 4, "car"),
            ("b", None, "vehicle"),
        ]
    drop_all(engine, [Car])
    with Session(engine) as session:
        assert session.exec_scalar("SELECT count(*) FROM sqlite_master WHERE name = 'vehicle'") == 0


def test_statements_name_the_class_and_nothing_more(engine: Engine) -> None:
    create_all(engine, Vehicle)
    with Session(engine) as session:
        assert session.query(Car).where(Car.seats == 2).count() == 0
        assert session.query(Vehicle).count() == 0
        texts = [entry.sql for entry in session.query_stats()]
    assert 'WHERE "vehicle"."type" = ? AND "vehicle"."seats" = ?' in texts[0]
    assert "WHERE" not in texts[1]


def test_pickles_keep_the_class(engine: Engine) -> None:
    create_all(engine, Vehicle)
    with Session(engine) as session:
        session.add(Car(plate="x", seats=1))
        session.commit()
        found = session.query(Vehicle).one()
        again = pickle.loads(pickle.dumps(found))
    assert (type(again), again.to_dict()) == (Car, found.to_dict())
    with Session(engine) as session:
        assert session.merge(again) is session.get(Car, again.id)


def test_upsert_keeps_to_the_class(engine: Engine) -> None:
    create_all(engine, Vehicle)
    with Session(engine) as session:
        session.add_all([Car(plate="a", seats=1), Vehicle(plate="v")])
        session.commit()
        result = session.upsert(
            [Car(plate="a", seats=5, color="blue"), Car(plate="b", seats=2)], conflict=[Car.plate]
        )
        assert (len(result.inserted), len(result.updated)) == (1, 1)
        session.commit()
        assert {(o.plate, o.seats, o.color) for o in session.query(Car)} == {
            ("a", 5, "blue"),
            ("b", 2, "red"),
        }
        assert session.query(Vehicle).where(Vehicle.plate == "v").one().type == "vehicle"


def test_a_declared_discriminator_of_any_kind(engine: Engine) -> None:
    class Kind(enum.Enum):
        PLAIN = "p"
        SPECIAL = "s"

    class Account(Model):
        id: Field[int] = field(primary_key=True)
        kind: Field[Kind] = field(init=False)

        class Meta:
            discriminator = "kind"
            discriminator_value = Kind.PLAIN

    class Special(Account):
        limit: Field[int] = field(default=0)

        class Meta:
            discriminator_value = Kind.SPECIAL

    class Event(Model):
        id: Field[int] = field(primary_key=True)
        code: Field[int] = field(init=False, column="c")

        class Meta:
            discriminator = "code"
            discriminator_value = 0

    class Login(Event):
        class Meta:
            discriminator_value = 7

    create_all(engine, [Account, Event])
    with Session(engine) as session:
        session.add_all([Account(), Special(limit=3), Event(), Login()])
        session.commit()
    with Session(engine) as session:
        assert [(type(o).__name__, o.kind) for o in session.query(Account).order_by("id")] == [
            ("Account", Kind.PLAIN),
            ("Special", Kind.SPECIAL),
        ]
        assert session.query(Special).one().limit == 3
        assert [type(o).__name__ for o in session.query(Event).order_by("id")] == ["Event", "Login"]
        assert session.query(Login).one().code == 7


def test_abstract_classes_and_constructors_in_between(engine: Engine) -> None:
    class Base(Model):
        id: Field[int] = field(primary_key=True)
        name: Field[str]

        class Meta:
            discriminator = "kind"

        def __init__(self, **values: Any) -> None:
            super().__init__(**{"name": "given by Base", **values})

    class Sized(Base):
        size: Field[int]

        class Meta:
            abstract = True

        @property
        def big(self) -> bool:
            return self.size > 9

    class Box(Sized):
        open: Field[bool] = field(default=False)

        def __init__(self, **values: Any) -> None:
            super().__init__(**{"size": 10, **values})

    create_all(engine, Base)
    with Session(engine) as session:
        session.add_all([Box(), Base(name="b")])
        session.commit()
    with Session(engine) as session:
        box = session.query(Box).one()
        assert (box.name, box.size, box.big, box.open, box.kind) == ("given by Base", 10, True, False, "box")
        assert session.query(Base).count() == 2


def test_text_keys_and_composite_keys(engine: Engine) -> None:
    class Node(Model):
        tenant: Field[str] = field(primary_key=True, init=True)
        number: Field[int] = field(primary_key=True, init=True)

        class Meta:
            discriminator = "kind"

    class Leaf(Node):
        parent: ForeignKey[Optional[Node]] = foreign_key()

    create_all(engine, Node)
    with Session(engine) as session:
        session.add(Leaf(tenant="a", number=2, parent=Node(tenant="a", number=1)))
        session.commit()
    with Session(engine) as session:
        leaf = session.get_one(Leaf, ("a", 2))
        assert leaf.parent is session.get(Node, tenant="a", number=1)
        assert session.get(Leaf, ("a", 1)) is None
        leaf.parent = None
        session.delete(session.get_one(Node, ("a", 1)))
        session.commit()
        assert session.query(Node).all() == [leaf]


def test_a_missing_value_of_a_subclass_is_refused(engine: Engine) -> None:
    create_all(engine, Vehicle)
    with Session(engine) as session:
        session.add(Car(plate="x"))  # type: ignore[call-arg]
        with pytest.raises(ValidationError, match="seats"):
            session.flush()
        session.rollback()


# --- what abstract bases say in Meta


def test_meta_of_abstract_bases_is_inherited(engine: Engine) -> None:
    class Named(Model):
        name: Field[str]
        rank: Field[int] = field(default=0)

        class Meta:
            abstract = True
            indexes = [Index("name", "rank")]
            constraints = [Unique("name"), Check("rank >= 0")]
            lazy = "raise"

    class Person(Named):
        pass

    class Place(Named):
        class Meta:
            table = "places"
            constraints = [Check("rank < 5")]

    builder = SchemaBuilder(engine.dialect)
    assert '"uq_person_name" UNIQUE ("name")' in builder.create_table_sql(Person)
    assert "CHECK (rank >= 0)" in builder.create_table_sql(Person)
    assert builder.index_sql(Person) == ['CREATE INDEX "ix_person_name_rank" ON "person" ("name", "rank")']
    assert builder.index_sql(Place) == ['CREATE INDEX "ix_places_name_rank" ON "places" ("name", "rank")']
    assert "UNIQUE" not in builder.create_table_sql(Place)
    assert "CHECK (rank < 5)" in builder.create_table_sql(Place)
    assert (Person.__mapper__.options.lazy, Place.__mapper__.options.lazy) == ("raise", "raise")
    create_all(engine, [Person, Place])


# --- what is refused


class Base(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]

    class Meta:
        discriminator = "kind"


def test_a_base_without_discriminator() -> None:
    class Plain(Model):
        pass

    with pytest.raises(ModelError, match=r'concrete model Plain.*discriminator = "kind".*abstract = True'):

        class Sub(Plain):
            pass


def test_equal_discriminator_values() -> None:
    class One(Base):
        pass

    with pytest.raises(ModelError, match="One has the discriminator value 'one' already"):

        class Two(Base):
            class Meta:
                discriminator_value = "one"


@pytest.mark.parametrize("value", ["", "it's", "50%", None, 1.5, "a\0b"])
def test_values_that_are_no_discriminator(value: Any) -> None:
    with pytest.raises(ModelError, match="discriminator_value"):

        class Wrong(Base):
            class Meta:
                discriminator_value = value


def test_a_value_that_the_field_cannot_hold(engine: Engine) -> None:
    class Wrong(Model):
        class Meta:
            discriminator = "kind"
            discriminator_value = 3

    with pytest.raises(ModelError, match="does not fit the field 'kind'"):
        create_all(engine, Wrong)


def test_fields_that_a_subclass_cannot_have() -> None:
    with pytest.raises(ModelError, match="name: is a field of Base already"):

        class Again(Base):
            name: Field[str] = field(default="x")

    with pytest.raises(ModelError, match="the primary key is that of Base"):

        class Keyed(Base):
            key: Field[int] = field(primary_key=True)

    with pytest.raises(ModelError, match="discriminator: is that of Base"):

        class Own(Base):
            class Meta:
                discriminator = "other"

    with pytest.raises(ModelError, match="needs a discriminator"):

        class Lonely(Model):
            class Meta:
                discriminator_value = "x"

    with pytest.raises(ModelError, match="no plain field"):

        class Odd(Model):
            parent: ForeignKey[Optional[Base]] = foreign_key()

            class Meta:
                discriminator = "parent"


def test_equal_columns_of_two_subclasses(engine: Engine) -> None:
    class Shared(Model):
        class Meta:
            discriminator = "kind"

    class A(Shared):
        size: Field[int]

    class B(Shared):
        size: Field[str] = field(column="b_size")

    create_all(engine, Shared)
    with Session(engine) as session:
        session.add_all([A(size=1), B(size="x")])
        session.commit()
    with Session(engine) as session:
        assert [o.size for o in session.query(Shared).order_by("id")] == [1, "x"]

    class Clashing(Model):
        class Meta:
            discriminator = "kind"

    class C(Clashing):
        size: Field[int]

    class D(Clashing):
        size: Field[int]

    with pytest.raises(ModelError, match=r"D\.size: C has the column 'size' in the same table"):
        create_all(engine, Clashing)


def test_a_subclass_that_comes_too_late(engine: Engine) -> None:
    class Early(Model):
        class Meta:
            discriminator = "kind"

    create_all(engine, Early)
    with Session(engine) as session:
        assert session.query(Early).all() == []
    with pytest.raises(ModelError, match="Early has been queried already; define"):

        class Late(Early):
            pass


def test_a_subclass_after_the_base_was_looked_at(engine: Engine) -> None:
    class Early(Model):
        name: Field[str] = field(default="n")

        class Meta:
            discriminator = "kind"

    assert Early.name is not None

    class Later(Early):
        size: Field[int] = field(default=1)

    class Owner(Model):
        early: ForeignKey[Early] = foreign_key(related_name="owners")

    create_all(engine, [Early, Owner])
    with Session(engine) as session:
        session.add(Owner(early=Later()))
        session.commit()
    with Session(engine) as session:
        later = session.query(Later).where(Later.owners.id > 0).one()
        assert (later.size, len(later.owners)) == (1, 1)


def test_a_reverse_name_that_a_subclass_has(engine: Engine) -> None:
    class Root(Model):
        class Meta:
            discriminator = "kind"

    class Sub(Root):
        things: Field[int] = field(default=1)

    class Thing(Model):
        root: ForeignKey[Root] = foreign_key(related_name="things")

    with pytest.raises(ModelError, match=r"related_name='things' is taken by the attribute Sub\.things"):
        create_all(engine, [Root, Sub, Thing])


def test_a_path_of_another_class(engine: Engine) -> None:
    class Root(Model):
        class Meta:
            discriminator = "kind"

    class Sub(Root):
        base: ForeignKey[Optional[Base]] = foreign_key()

    create_all(engine, [Base, Root])
    with Session(engine) as session:
        with pytest.raises(QueryError, match=r"does not start at Root"):
            session.query(Root).select_related(Sub.base)
        assert session.query(Root).include(Sub.base).all() == []
