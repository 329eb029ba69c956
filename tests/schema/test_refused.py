"""What cannot be created is refused before any SQL is sent, naming model and field."""

from __future__ import annotations

from typing import Any

import pytest

from blaze.core.constraints import Check, Index, Unique
from blaze.core.fields import Field, field, foreign_key, many_to_many
from blaze.core.model import ModelBase as Model
from blaze.core.relation_types import ForeignKey, ManyToMany
from blaze.dialects.types import SQLType
from blaze.errors import CapabilityError, ModelError
from blaze.schema import SchemaBuilder, create_all_plan
from blaze_sqlite import SQLiteDialect
from tests.schema.dialects import ansi

DIALECT = SQLiteDialect()
SQLITE = SchemaBuilder(DIALECT)


def model_with(name: str, options: dict[str, Any], /, **fields: Any) -> Any:
    """Make a model with text fields and Meta options."""
    body: dict[str, Any] = {"__module__": __name__, "__qualname__": name, "Meta": type("Meta", (), options)}
    body["__annotations__"] = dict.fromkeys(fields, Field[str])
    body.update(fields)
    return type(Model)(name, (Model,), body)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"indexes": [Index("nam")]}, r"test_refused\.Wrong: Index\('nam'\): .*did you mean 'name'"),
        ({"constraints": [Unique("named", "name")]}, r"test_refused\.Wrong: Unique\('named', 'name'\)"),
        ({"indexes": [Index()]}, r"test_refused\.Wrong: Index\(\) names no field"),
        ({"constraints": [Check(" ")]}, r"test_refused\.Wrong: .*Check\(' '\) is no condition"),
        (
            {"indexes": [Index("name", where="name > 'a'"), Index("name", where="name > 'b'")]},
            r"test_refused\.Wrong: two .* are named 'ix_wrong_name'; give one a name=",
        ),
        (
            {"constraints": [Check("name > 'a'"), Check("name < 'a'")]},
            r"test_refused\.Wrong: two .* are named 'ck_wrong_name_a'",
        ),
        ({"indexes": [Index("name", name="a\x00b")]}, r"test_refused\.Wrong: 'a\\x00b' cannot be the name"),
    ],
)
def test_options_of_meta(options: dict[str, Any], message: str) -> None:
    model = model_with("Wrong", options, name=field())
    with pytest.raises(ModelError, match=message):
        SQLITE.create_sql(model)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (field(server_default=0), r"test_refused\.Wrong\.name: server_default= is a text, not 0"),
        (field(check=True), r"test_refused\.Wrong\.name: check= is a text"),
        (field(generated="1", server_default="2"), r"test_refused\.Wrong\.name: .* leave one out"),
        (field(column="a\x00b"), r"test_refused\.Wrong\.name: 'a\\x00b' cannot be the name"),
    ],
)
def test_options_of_fields(spec: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        SQLITE.create_table_sql(model_with("Wrong", {}, name=spec))


def test_what_is_no_model() -> None:
    class Base(Model):
        class Meta:
            abstract = True

    for wrong in (int, Base, [Base], "Author"):
        with pytest.raises(ModelError, match="is not a concrete model"):
            SQLITE.create_sql(wrong)


def test_a_view_has_no_create_table() -> None:
    model = model_with("Seen", {"view": True}, name=field())
    with pytest.raises(ModelError, match=r"test_refused\.Seen: is a view"):
        SQLITE.create_table_sql(model)


def test_two_tables_of_one_name() -> None:
    one, two = model_with("One", {"table": "things"}), model_with("Two", {"table": "Things"})
    with pytest.raises(ModelError, match=r"\.Two: its table 'Things' .* table of .*\.One;"):
        SQLITE.create_sql([one, two])


def test_a_join_table_with_the_name_of_a_model() -> None:
    class Left(Model):
        id: Field[int] = field(primary_key=True)
        rights: ManyToMany[Right] = many_to_many(through="left_right")

    class Right(Model):
        id: Field[int] = field(primary_key=True)

    class LeftRight(Model):
        id: Field[int] = field(primary_key=True)

    with pytest.raises(ModelError, match=r"Left\.rights: its table 'left_right' .* by Meta\.table or"):
        SQLITE.create_sql([Left, Right, LeftRight])


def test_two_indexes_of_one_name_in_different_tables() -> None:
    one = model_with("One", {"table": "a"}, b_c=field(index=True))
    two = model_with("Two", {"table": "a_b"}, c=field(index=True))
    with pytest.raises(ModelError, match=r"test_refused\.Two: its index 'ix_a_b_c' .* by name="):
        SQLITE.create_sql([one, two])


def test_what_the_database_does_not_have() -> None:
    class Strange(SQLType):
        pass

    class Parent(Model):
        id: Field[int] = field(primary_key=True)

    class Child(Model):
        id: Field[int] = field(primary_key=True)
        parent: ForeignKey[Parent] = foreign_key(related_name="children", deferrable=True)

    unique_part = {"indexes": [Index("name", unique=True, where="name > ''")]}
    modest = SchemaBuilder(ansi(generated_columns=False, check_constraints=False))
    cases = [
        (SQLITE, model_with("Odd", {}, name=field(type=Strange())), r"Odd\.name: sqlite has no column type"),
        (SQLITE, model_with("Far", {"schema": "crm"}), r"test_refused\.Far: sqlite has no schemas.*'crm'"),
        (
            modest,
            model_with("Sum", {}, name=field(generated="1")),
            r"Sum\.name: ansi has no generated",
        ),
        (modest, model_with("Low", {}, name=field(check="1")), r"Low: ansi has no CHECK constraints"),
        (modest, model_with("Part", unique_part, name=field()), r"Part: ansi has no partial indexes"),
        (modest, Child, r"Child\.parent_id: ansi has no deferrable foreign keys"),
    ]
    for builder, model, message in cases:
        with pytest.raises(CapabilityError, match=message):
            builder.create_sql(model)


def test_a_plan_refuses_before_it_runs() -> None:
    model = model_with("Early", {"indexes": [Index("nothing")]}, name=field())
    with pytest.raises(ModelError, match="Early"):
        create_all_plan(DIALECT, [model])
