"""Options without a meaning fail when the class is made: the message names model, field and cure."""

from __future__ import annotations

import enum
from datetime import datetime
from decimal import Decimal
from typing import Any, Optional

import pytest

from blaze import (
    Check,
    Engine,
    Field,
    ForeignKey,
    Index,
    Model,
    OneToOne,
    Session,
    Unique,
    ValidationError,
    create_all,
    field,
    foreign_key,
    one_to_one,
)
from blaze.dialects import types as sql_types
from blaze.errors import BlazeError, ModelError, UnknownOptionError


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


def model(annotation: Any, value: Any, **others: tuple[Any, Any]) -> Any:
    """Make a model `Bad` with the field `it`, and others."""
    fields = {"it": (annotation, value), **others}
    body: dict[str, Any] = {"__module__": __name__, "__qualname__": "Bad"}
    body["__annotations__"] = {name: Field[kind] for name, (kind, _) in fields.items()}
    body.update({name: spec for name, (_, spec) in fields.items()})
    return type(Model)("Bad", (Model,), body)


WRONG: list[tuple[Any, dict[str, Any], list[str]]] = [
    (str, {"max_length": 0}, ["max_length=", "at least 1"]),
    (str, {"max_length": -1}, ["max_length=", "at least 1", "-1"]),
    (str, {"max_length": "10"}, ["max_length=", "'10'"]),
    (str, {"max_length": True}, ["max_length=", "True"]),
    (int, {"max_length": 5}, ["max_length=", "for a str", "leave it out"]),
    (Colour, {"max_length": 5}, ["max_length=", "for a str"]),
    (str, {"type": sql_types.String(5), "max_length": 5}, ["max_length=", "type="]),
    (str, {"precision": 5}, ["precision=", "for a Decimal"]),
    (str, {"scale": 5}, ["scale=", "for a Decimal"]),
    (Decimal, {"precision": 3, "scale": 5}, ["scale=5", "precision=3"]),
    (Decimal, {"precision": 0}, ["precision=", "at least 1"]),
    (Decimal, {"precision": 5, "scale": -1}, ["scale=", "at least 0"]),
    (Decimal, {"scale": 2}, ["scale=", "needs precision="]),
    (str, {"timezone": False}, ["timezone=False", "datetime"]),
    (int, {"default": 1, "default_factory": int}, ["default=", "default_factory="]),
    (int, {"default_factory": 5}, ["default_factory=", "function", "5", "default="]),
    (list[int], {"default_factory": [1]}, ["default_factory=", "[1]"]),
    (int, {"default": "5"}, ["default=", "str", "int"]),
    (str, {"default": 5}, ["default=", "int"]),
    (str, {"max_length": 2, "default": "abc"}, ["default=", "3 characters"]),
    (Decimal, {"precision": 3, "scale": 1, "default": Decimal("1.23")}, ["default=", "1.23"]),
    (datetime, {"default": datetime(2024, 1, 1)}, ["default=", "naive"]),
    (datetime, {"default": datetime.now}, ["default_factory="]),
    (Colour, {"default": "red"}, ["default=", "Colour"]),
    (int, {"default": None}, ["default=None", "Optional"]),
    (list[int], {"default": [1, 2]}, ["shared", "default_factory=lambda: [1, 2]"]),
    (dict, {"default": {}}, ["shared", "default_factory=dict"]),
    (Any, {"default": {1}}, ["shared", "default_factory="]),
    (str, {"choices": []}, ["choices=", "empty"]),
    (str, {"choices": "abc"}, ["choices=", "list"]),
    (str, {"choices": 5}, ["choices=", "list"]),
    (str, {"choices": ["a", 1]}, ["choices=", "1 is a int"]),
    (Optional[str], {"choices": ["a", None]}, ["choices=", "Optional"]),
    (Colour, {"choices": ["red"]}, ["choices=", "Colour"]),
    (str, {"choices": ["a"], "default": "b"}, ["default='b'", "choices", "'a'"]),
    (str, {"validators": [5]}, ["validators=", "5"]),
    (str, {"validators": len}, ["validators=", "list of functions"]),
    (str, {"validators": "len"}, ["validators=", "list of functions"]),
    (int, {"on_update": "now()"}, ["on_update=", "function"]),
    (int, {"generated": "1", "default": 1}, ["generated", "default="]),
    (int, {"generated": "1", "default_factory": int}, ["generated", "default_factory="]),
    (int, {"generated": "1", "server_default": "1"}, ["generated", "server_default="]),
    (int, {"generated": "1", "on_update": int}, ["generated", "on_update="]),
    (int, {"generated": "1", "primary_key": True}, ["generated", "primary_key="]),
    (int, {"generated": "1", "version": True}, ["generated", "version="]),
    (int, {"generated": ""}, ["generated=", "empty"]),
    (int, {"check": "  "}, ["check=", "empty"]),
    (int, {"column": ""}, ["column=", "empty"]),
    (int, {"column": 5}, ["column=", "text"]),
    (int, {"comment": 5}, ["comment=", "text"]),
    (int, {"server_default": 5}, ["server_default=", "text", "default="]),
    (str, {"version": True}, ["version=True", "Field[int]"]),
    (Optional[int], {"version": True}, ["version=True", "Field[int]"]),
    (int, {"version": True, "primary_key": True}, ["version=True", "primary_key=True"]),
    (int, {"version": True, "deferred": True}, ["deferred=True", "version=True"]),
    (int, {"deferred": True, "primary_key": True}, ["deferred=True", "primary_key=True"]),
    (dict, {"unique": True}, ["unique=True", "column of its own"]),
    (list[str], {"primary_key": True}, ["primary_key=True", "column of its own"]),
    (int, {"unique": "yes"}, ["unique=", "True or False", "'yes'"]),
    (int, {"index": 1}, ["index=", "True or False"]),
    (int, {"type": int}, ["type=", "blaze.dialects.types"]),
]


@pytest.mark.requirement("R51")
@pytest.mark.parametrize(("annotation", "options", "words"), WRONG, ids=lambda value: str(value)[:40])
def test_a_senseless_option_fails_at_the_class(
    annotation: Any, options: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ModelError) as caught:
        model(annotation, field(**options))
    assert str(caught.value).startswith(f"{__name__}.Bad.it: ")
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_the_values_of_a_class_body_are_defaults_too() -> None:
    for annotation, value, word in ((list[int], [1], "default_factory="), (int, "x", "default=")):
        with pytest.raises(ModelError, match=rf"Bad\.it: .*{word}"):
            model(annotation, value)


@pytest.mark.requirement("R51")
def test_a_second_version_column() -> None:
    with pytest.raises(ModelError, match=r"Bad\.other: it has version=True already"):
        model(int, field(version=True), other=(int, field(version=True)))


def test_options_that_look_odd_and_have_a_meaning() -> None:
    made = model(
        Optional[str],
        field(choices=Colour, default="red", server_default="'blue'"),
        colour=(Colour, field(choices=[Colour.RED], default=Colour.RED)),
        words=(list[str], field(max_length=3, default_factory=list)),
        sums=(list[Decimal], field(precision=5, scale=2, default_factory=list)),
        flags=(Any, field(default=True)),
        digits=(Decimal, field(precision=2, scale=2, default=0)),
        size=(str, field(max_length=3, validators=(v for v in [str.isupper]), default="abc")),
    )
    made().full_clean()
    made(it="blue").full_clean()
    with pytest.raises(ValidationError) as caught:
        made(it="green", colour=Colour.BLUE, words=["long"], sums=[Decimal("1.234")]).full_clean()
    assert caught.value.errors == {
        "it": ["must be one of 'red', 'blue'"],
        "colour": ["must be one of <Colour.RED: 'red'>"],
        "words": ["item 0: 'long' has 4 characters, more than 3"],
        "sums": ["item 0: 1.234 has more than 2 digits after the point"],
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: field(primry_key=True), r"field\(\) has no option 'primry_key'; did you mean 'primary_key'"),  # type: ignore[call-overload]
        (lambda: foreign_key(on_delte="CASCADE"), r"foreign_key\(\) has no option 'on_delte'.*'on_delete'"),  # type: ignore[call-overload]
        (lambda: one_to_one(through="x"), r"one_to_one\(\) has no option 'through'"),  # type: ignore[call-overload]
    ],
)
def test_an_unknown_option_names_the_nearest(make: Any, message: str) -> None:
    for expected in (UnknownOptionError, ModelError, TypeError, BlazeError):
        with pytest.raises(expected, match=message):
            make()


@pytest.mark.requirement("R51")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"on_delete": "CASCAD"}, ["on_delete=", "did you mean 'CASCADE'"]),
        ({"on_delete": "set null"}, ["on_delete=", "SET NULL"]),
        ({"on_delete": None}, ["on_delete=", "one of"]),
        ({"unique": "yes"}, ["unique=", "True or False"]),
        ({"related_name": "a b"}, ["related_name=", "'a b'"]),
        ({"related_name": "a__b"}, ["related_name=", "single '_'"]),
        ({"related_name": 5}, ["related_name="]),
        ({"column": 5}, ["column="]),
        ({"default": 5}, ["default"]),
        ({"default": None}, ["default", "Optional"]),
    ],
    ids=str,
)
def test_a_senseless_option_of_a_relation_fails_at_the_class(
    options: dict[str, Any], words: list[str]
) -> None:
    class Target(Model):
        name: Field[str]

    def many() -> None:
        class Bad(Model):
            it: ForeignKey[Target] = foreign_key(**options)

    def one() -> None:
        class Bad(Model):
            it: OneToOne[Target] = one_to_one(**options)

    for make in (many, one):
        with pytest.raises(ModelError) as caught:
            make()
        assert "Bad.it: " in str(caught.value)
        for word in words:
            assert word in str(caught.value), str(caught.value)


def test_messages_about_use_of_instances_and_classes() -> None:
    class Owner(Model):
        name: Field[str]

    class Pet(Model):
        name: Field[str]
        owner: ForeignKey[Optional[Owner]] = foreign_key(related_name="pets")

    make: Any = Pet
    with pytest.raises(TypeError, match=r"Pet\(\) takes its 1 positional .* Pet\(name=\.\.\.\).*owner"):
        make("Tom")
    pet = Pet(name="Tom")
    for name in ("owner", "owner_id"):
        with pytest.raises(AttributeError, match=f"cannot delete '{name}' of a Pet: .* None"):
            delattr(pet, name)
    owner: Any = Owner(name="o", pets=[])
    with pytest.raises(AttributeError, match="cannot delete 'pets' of a Owner"):
        del owner.pets
    assert (pet.name, pet.owner) == ("Tom", None)
    kind: Any = Pet
    with pytest.raises(AttributeError, match=r"Pet\.name is mapped and cannot be replaced"):
        kind.name = 5
    with pytest.raises(AttributeError, match=r"Pet\.name is mapped and cannot be deleted"):
        del kind.name


@pytest.mark.requirement("R51")
def test_everything_unique_is_known() -> None:
    class Place(Model):
        x: Field[int] = field(primary_key=True, init=True)
        y: Field[int] = field(primary_key=True, init=True)

    class Flag(Model):
        code: Field[str] = field(unique=True)
        name: Field[str]
        kind: Field[str]
        place: OneToOne[Place] = one_to_one()
        other: ForeignKey[Place] = foreign_key(unique=True)
        third: ForeignKey[Place] = foreign_key()

        class Meta:
            constraints = [Unique("name", "third"), Check("kind <> ''")]
            indexes = [
                Index("name", unique=True),
                Index("kind", unique=True, where="kind = 'a'"),
                Index("kind", "name"),
            ]

    assert Flag.code is not None
    mapper = Flag.__mapper__
    whole = [
        ("id",),
        ("code",),
        ("place_x", "place_y"),
        ("other_x", "other_y"),
        ("name", "third_x", "third_y"),
        ("name",),
    ]
    assert mapper.unique_sets() == whole
    assert mapper.unique_sets(partial=True) == [*whole, ("kind",)]


def test_a_row_of_a_partial_unique_index_is_replaced(files: Engine) -> None:
    class Lease(Model):
        room: Field[int]
        state: Field[str]

        class Meta:
            indexes = [Index("room", unique=True, where="state = 'open'")]

    class Seat(Model):
        x: Field[int] = field(primary_key=True, init=True)
        y: Field[int] = field(primary_key=True, init=True)

    class Ticket(Model):
        seat: OneToOne[Seat] = one_to_one()

    create_all(files, [Lease, Seat, Ticket])
    with Session(files) as session:
        session.add_all([Lease(room=1, state="open"), Ticket(seat=Seat(x=1, y=2))])
        session.commit()
        session.delete(session.query(Lease).one())
        session.delete(session.query(Ticket).one())
        session.add_all([Lease(room=1, state="open"), Ticket(seat=session.get_one(Seat, (1, 2)))])
        session.commit()
        assert session.query(Lease).count() == session.query(Ticket).count() == 1
