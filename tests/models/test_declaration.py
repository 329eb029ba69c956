"""Models in unusual places, and models that cannot work: where they fail and what the message names."""

from __future__ import annotations

import enum
from typing import Any, ClassVar, Optional

import pytest

from blaze import (
    Engine,
    Field,
    ForeignKey,
    Index,
    ManyToMany,
    Model,
    OneToMany,
    OneToOne,
    Session,
    Unique,
    create_all,
    field,
    foreign_key,
    key_column,
    many_to_many,
    one_to_many,
    one_to_one,
)
from blaze.errors import BlazeError, ModelError, UnknownFieldError, ValidationError


def stored(engine: Engine, *models: type[Any]) -> Session:
    create_all(engine, models)
    return Session(engine)


@pytest.fixture
def engine(database_url: str) -> Any:
    with Engine(database_url) as engine:
        yield engine


# --- where models may stand


@pytest.mark.requirement("R51")
def test_models_inside_a_function_with_forward_references(engine: Engine) -> None:
    class Parent(Model):
        name: Field[str]
        children: OneToMany[Child] = one_to_many()
        best: ForeignKey[Optional[Child]] = foreign_key(related_name="best_of")

    class Child(Model):
        name: Field[str]
        parent: ForeignKey[Parent] = foreign_key(related_name="children")

    with stored(engine, Parent, Child) as session:
        parent = Parent(name="p", children=[Child(name="c")])
        parent.best = parent.children[0]
        session.add(parent)
        session.commit()
        assert parent.best_id == parent.children[0].id == 1


def test_models_of_the_same_name_in_two_functions_are_kept_apart(engine: Engine) -> None:
    def make(number: int) -> tuple[Any, Any]:
        class Item(Model):
            name: Field[str]
            tags: OneToMany[Label] = one_to_many()

            class Meta:
                table = f"item{number}"

        class Label(Model):
            text: Field[str]
            item: ForeignKey[Item] = foreign_key(related_name="tags")

            class Meta:
                table = f"label{number}"

        return Item, Label

    pairs = [make(1), make(2)]
    with stored(engine, *pairs[0], *pairs[1]) as session:
        for item, label in pairs:
            session.add(item(name="i", tags=[label(text="t")]))
        session.commit()
        for item, label in pairs:
            assert type(session.query(item).one().tags[0]).__mapper__.model is label


def test_an_implicit_id_and_a_declared_key_column(engine: Engine) -> None:
    class Shelf(Model):
        name: Field[str]

    class Thing(Model):
        name: Field[str]
        shelf: ForeignKey[Shelf] = foreign_key(init=False)
        shelf_id: Field[int] = key_column(init=True)

    with stored(engine, Shelf, Thing) as session:
        session.add(Shelf(name="s"))
        session.flush()
        thing = Thing(name="t", shelf_id=1)
        session.add(thing)
        session.commit()
        assert (thing.id, thing.shelf.name) == (1, "s")


def test_abstract_bases_and_mixins(engine: Engine) -> None:
    class Stamped:
        note: Field[Optional[str]] = field(default=None)

    class Base(Model):
        name: Field[str] = field(max_length=10)
        kind: ClassVar[str] = "base"

        class Meta:
            abstract = True

        def shout(self) -> str:
            return self.name.upper()

    with pytest.raises(ModelError, match="Base is abstract: only models that inherit from it have objects"):
        Base(name="x")

    class Cat(Base, Stamped):
        lives: Field[int] = field(default=9)

    class Dog(Base):
        pass

    with stored(engine, Cat, Dog) as session:
        session.add_all([Cat(name="tom", note="n"), Dog(name="rex")])
        session.commit()
        assert session.query(Cat).one().shout() == "TOM"
        assert (Cat.kind, session.query(Dog).one().name) == ("base", "rex")
    with pytest.raises(ModelError, match=r"inherits from the concrete model Cat.*abstract"):

        class Lion(Cat):
            pass


def test_validators_choices_and_clean(engine: Engine) -> None:
    class Level(enum.Enum):
        LOW = "low"
        HIGH = "high"

    def even(value: int) -> None:
        if value % 2:
            raise ValueError("must be even")

    class Rule(Model):
        size: Field[int] = field(validators=[even])
        level: Field[Level] = field(default=Level.LOW)
        colour: Field[str] = field(choices=["red", "blue"])

        def clean(self) -> None:
            if self.size > 10 and self.level is Level.LOW:
                raise ValidationError({"level": ["too low for the size"]})

        def validate(self) -> None:
            if self.size < 0:
                raise ValidationError({"size": ["negative"]})

    with stored(engine, Rule) as session:
        for values, expected in [
            ({"size": 3, "colour": "red"}, {"size": ["must be even"]}),
            ({"size": 2, "colour": "green"}, {"colour": ["must be one of 'red', 'blue'"]}),
            ({"size": 12, "colour": "red"}, {"level": ["too low for the size"]}),
            ({"size": -1, "colour": "red"}, {"size": ["must be even", "negative"]}),
        ]:
            rule: Any = Rule(**values)
            with pytest.raises(ValidationError) as caught:
                rule.full_clean()
            assert caught.value.errors == expected
            session.add(rule)
            with pytest.raises(ValidationError) as caught:
                session.flush()
            assert caught.value.errors == expected
            session.rollback()
        session.add(Rule(size=12, colour="red", level=Level.HIGH))
        session.commit()


def test_the_constructor_takes_fields_relations_and_reverse_sides() -> None:
    class Owner(Model):
        name: Field[str]

    class Pet(Model):
        name: Field[str]
        owner: ForeignKey[Optional[Owner]] = foreign_key(related_name="pets")

    owner = Owner(name="o", pets=[Pet(name="p")])
    assert owner.pets[0].owner is owner
    with pytest.raises(UnknownFieldError, match="unknown field 'nme'; did you mean 'name'"):
        Owner(nme="x")  # type: ignore[call-arg]
    with pytest.raises(UnknownFieldError, match="did you mean 'pets'"):
        Owner(name="x", pts=[])  # type: ignore[call-arg]
    with pytest.raises(UnknownFieldError, match="did you mean 'name'"):
        Owner.nam  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(owner, "nam")
    with pytest.raises(AttributeError):
        owner.nam  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match="mapped"):
        Owner.name = 5  # type: ignore[assignment]


# --- models that cannot work


def missing_annotation() -> None:
    class Bad(Model):
        price = field(default=1)


def plain_annotation() -> None:
    class Bad(Model):
        price: int = 1


def unknown_meta() -> None:
    class Bad(Model):
        name: Field[str]

        class Meta:
            tabel = "x"


def shadowed_method() -> None:
    class Bad(Model):
        validate: Field[bool]  # type: ignore[assignment]


def own_method() -> None:
    class Bad(Model):
        name: Field[str]

        def name(self) -> str:  # type: ignore[no-redef]
            return ""


def wrong_specifier() -> None:
    class Bad(Model):
        name: Field[str] = foreign_key()  # type: ignore[assignment]


def wrong_relation() -> None:
    class Bad(Model):
        items: OneToMany[Bad] = many_to_many()  # type: ignore[assignment]


def no_column_type() -> None:
    class Bad(Model):
        items: Field[set[int]]


def unknown_class() -> None:
    class Bad(Model):
        kind: Field[Later]  # noqa: F821


def private_name() -> None:
    class Bad(Model):
        _name: Field[str]


def double_underscore() -> None:
    class Bad(Model):
        first__name: Field[str]


def bad_table() -> None:
    class Bad(Model):
        name: Field[str]

        class Meta:
            table = 5


def bad_index() -> None:
    class Bad(Model):
        name: Field[str]

        class Meta:
            indexes = ["name"]


def id_without_key() -> None:
    class Bad(Model):
        id: Field[int]


def lost_key_column() -> None:
    class Bad(Model):
        other_id: Field[int] = key_column()


def bad_lazy() -> None:
    class Bad(Model):
        name: Field[str]

        class Meta:
            lazy = "never"


@pytest.mark.requirement("R51")
@pytest.mark.parametrize(
    ("define", "words"),
    [
        (missing_annotation, ["Bad.price", "no annotation"]),
        (plain_annotation, ["Bad.price", "Field["]),
        (unknown_meta, ["Bad.Meta", "'tabel'", "did you mean 'table'"]),
        (shadowed_method, ["Bad.validate", "shadows"]),
        (own_method, ["Bad.name", "method"]),
        (wrong_specifier, ["Bad.name", "foreign_key"]),
        (wrong_relation, ["Bad.items", "one_to_many"]),
        (no_column_type, ["Bad.items", "no column type"]),
        (unknown_class, ["Bad.kind", "Later is not known", "TYPE_CHECKING"]),
        (private_name, ["Bad._name", "'_'"]),
        (double_underscore, ["Bad.first__name", "'__'"]),
        (bad_table, ["Bad.Meta.table", "5"]),
        (bad_index, ["Bad.Meta.indexes", "Index("]),
        (id_without_key, ["Bad.id", "primary_key=True"]),
        (lost_key_column, ["Bad.other_id", "fits no foreign key"]),
        (bad_lazy, ["Bad.Meta.lazy", "never"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_class_body_that_cannot_work_fails_at_once(define: Any, words: list[str]) -> None:
    with pytest.raises(ModelError) as caught:
        define()
    for word in words:
        assert word in str(caught.value), str(caught.value)


def unknown_target() -> Any:
    class Broken(Model):
        other: ForeignKey[Nowhere] = foreign_key()  # type: ignore[name-defined]  # noqa: F821

    return Broken


def two_of_one_name() -> Any:
    class Target(Model):
        name: Field[str]

    class Broken(Model):
        a: ForeignKey[Target] = foreign_key(related_name="things")
        b: ForeignKey[Target] = foreign_key(related_name="things")

    return Broken


def reverse_name_is_a_field() -> Any:
    class Target(Model):
        things: Field[str]

    class Broken(Model):
        a: ForeignKey[Target] = foreign_key(related_name="things")

    return Broken


def reverse_name_of_links_is_a_field() -> Any:
    class Target(Model):
        things: Field[str]

    class Broken(Model):
        a: ManyToMany[Target] = many_to_many(related_name="things")

    return Broken


def reverse_name_is_a_method() -> Any:
    class Target(Model):
        name: Field[str]

        def things(self) -> None: ...

    class Broken(Model):
        a: ForeignKey[Target] = foreign_key(related_name="things")

    return Broken


def bad_on_delete() -> Any:
    class Broken(Model):
        a: ForeignKey[Optional[Broken]] = foreign_key(on_delete="CASCAD")  # type: ignore[arg-type]

    return Broken


def set_null_on_not_null() -> Any:
    class Broken(Model):
        a: ForeignKey[Broken] = foreign_key(on_delete="SET NULL")

    return Broken


def no_way_back() -> Any:
    class Target(Model):
        name: Field[str]

    class Broken(Model):
        items: OneToMany[Target] = one_to_many()

    return Broken


def unknown_through() -> Any:
    class Middle(Model):
        name: Field[str]

    class Broken(Model):
        a: ManyToMany[Broken] = many_to_many(through=Middle)

    return Broken


def same_column() -> Any:
    class Broken(Model):
        a: Field[str] = field(column="x")
        b: Field[str] = field(column="x")

    return Broken


def optional_key() -> Any:
    class Broken(Model):
        a: Field[Optional[str]] = field(primary_key=True)

    return Broken


def two_versions() -> Any:
    class Broken(Model):
        a: Field[int] = field(version=True, default=1)
        b: Field[int] = field(version=True, default=1)

    return Broken


def text_version() -> Any:
    class Broken(Model):
        a: Field[str] = field(version=True, default="1")

    return Broken


def one_to_one_reverse_twice() -> Any:
    class Target(Model):
        name: Field[str]

    class Broken(Model):
        a: OneToOne[Target] = one_to_one(related_name="it")
        b: OneToOne[Target] = one_to_one(related_name="it")

    return Broken


@pytest.mark.requirement("R51")
@pytest.mark.parametrize(
    ("define", "words"),
    [
        (unknown_target, ["Broken.other", "'Nowhere'", "define or import"]),
        (two_of_one_name, ["Broken.b", "'things'", "taken"]),
        (reverse_name_is_a_field, ["Broken.a", "'things'", "Target.things"]),
        (reverse_name_of_links_is_a_field, ["Broken.a", "things", "taken", "Target.things"]),
        (reverse_name_is_a_method, ["Broken.a", "'things'", "Target.things"]),
        (bad_on_delete, ["Broken.a", "on_delete", "CASCADE"]),
        (set_null_on_not_null, ["Broken.a", "Optional"]),
        (no_way_back, ["Broken.items", "related_name='items'"]),
        (unknown_through, ["Broken.a", "Middle", "foreign key"]),
        (same_column, ["Broken", "'x'", "column="]),
        (optional_key, ["Broken.a", "Optional"]),
        (two_versions, ["Broken", "version"]),
        (text_version, ["Broken", "version"]),
        (one_to_one_reverse_twice, ["Broken.b", "'it'", "taken"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_model_that_cannot_work_fails_at_its_first_use(
    engine: Engine, define: Any, words: list[str]
) -> None:
    uses = [
        lambda model: create_all(engine, [model]),
        lambda model: Session(engine).query(model).all(),
        lambda model: Session(engine).get(model, 1),
        lambda model: Session(engine).add(model()),
    ]
    for use in uses:
        with pytest.raises(BlazeError) as caught:
            use(define())
        assert isinstance(caught.value, ModelError)
        for word in words:
            assert word in str(caught.value), str(caught.value)


def test_a_broken_model_does_not_break_others(engine: Engine) -> None:
    broken = unknown_target()

    class Fine(Model):
        name: Field[str]

        class Meta:
            indexes = [Index("name")]
            constraints = [Unique("name")]

    with stored(engine, Fine) as session:
        session.add(Fine(name="x"))
        session.commit()
    with pytest.raises(ModelError):
        broken.other  # noqa: B018
