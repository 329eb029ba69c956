"""When models are completed, and that the order in which they are defined does not matter."""

from __future__ import annotations

from typing import Any

import pytest

from blaze import (
    Engine,
    Field,
    ForeignKey,
    ManyToMany,
    Model,
    Session,
    create_all,
    field,
    foreign_key,
    many_to_many,
)
from blaze.core import registry as registry_module
from blaze.core.resolution import Resolver
from blaze.errors import CapabilityError, ModelError
from blaze.schema import SchemaBuilder
from tests.persistence.twins import Database
from tests.schema.dialects import RICH


@pytest.mark.requirement("R51")
def test_a_broken_model_costs_one_pass(files: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fine(Model):
        name: Field[str]

    class Broken(Model):
        other: ForeignKey[ComesLater] = foreign_key()  # type: ignore[name-defined]

    passes: list[int] = []

    class Counted(Resolver):
        def run(self) -> Any:
            passes.append(1)
            return super().run()

    monkeypatch.setattr(registry_module, "Resolver", Counted)
    create_all(files, [Fine])
    with Session(files) as session:
        for number in range(3):
            session.add(Fine(name=str(number)))
            session.commit()
            assert session.query(Fine).count() == number + 1
    messages = set()
    for _ in range(3):
        with pytest.raises(ModelError, match=r"Broken\.other: there is no model 'ComesLater'") as caught:
            Broken.other  # noqa: B018
        messages.add(str(caught.value))
    assert len(messages) == 1
    assert len(passes) == 1

    class ComesLater(Model):
        name: Field[str]

    assert Broken.other.name is not None  # the target has come


@pytest.mark.requirement("R51")
def test_the_join_table_does_not_depend_on_the_order_of_definition() -> None:
    def articles_first() -> list[type[Model]]:
        class Article(Model):
            name: Field[str]
            tags: ManyToMany[Tag] = many_to_many(related_name="articles")

        class Tag(Model):
            name: Field[str]
            articles: ManyToMany[Article] = many_to_many(related_name="tags")

        return [Article, Tag]

    def tags_first() -> list[type[Model]]:
        class Tag(Model):
            name: Field[str]
            articles: ManyToMany[Article] = many_to_many(related_name="tags")

        class Article(Model):
            name: Field[str]
            tags: ManyToMany[Tag] = many_to_many(related_name="articles")

        return [Tag, Article]

    made = [set(SchemaBuilder(RICH).create_sql(make())) for make in (articles_first, tags_first)]
    assert made[0] == made[1]
    assert any('CREATE TABLE "article_tags"' in sql for sql in made[0])


def schemas() -> list[type[Model]]:
    # Nobody else has a Casting: the first look for it, before it is there, would find any model of that name.
    class Item(Model):
        name: Field[str]
        parts: ManyToMany[Casting] = many_to_many(related_name="items")
        maker: ForeignKey[Casting] = foreign_key(related_name="made")

        class Meta:
            schema = "shop"

    class Casting(Model):
        name: Field[str]

        class Meta:
            schema = "works"
            table = "item"

    return [Item, Casting]


@pytest.mark.requirement("R51")
def test_tables_of_one_name_in_two_schemas() -> None:
    sql = "\n".join(SchemaBuilder(RICH).create_sql(schemas()))
    for words in (
        'CREATE TABLE "shop"."item"',
        'CREATE TABLE "works"."item"',
        'CREATE TABLE "shop"."item_parts" (\n  "shop_item_id" ',
        'FOREIGN KEY ("shop_item_id") REFERENCES "shop"."item"',
        'FOREIGN KEY ("works_item_id") REFERENCES "works"."item"',
        'FOREIGN KEY ("maker_id") REFERENCES "works"."item"',
    ):
        assert words in sql, sql


@pytest.mark.requirement("R51")
def test_a_database_without_schemas_says_so(db: Database) -> None:
    with pytest.raises(
        CapabilityError,
        match=r"(Item|Casting): sqlite has no schemas, and Meta\.schema asks for '(shop|works)'",
    ):
        create_all(db.engine, schemas())


@pytest.mark.parametrize(
    ("option", "value"),
    [("schema", 5), ("schema", ""), ("comment", 5), ("abstract", "yes"), ("view", "SELECT 1"), ("table", "")],
)
def test_options_of_meta_are_checked_at_the_class(option: str, value: Any) -> None:
    with pytest.raises(ModelError, match=rf"Bad\.Meta\.{option}.*{value!r}"):
        type(Model)(
            "Bad",
            (Model,),
            {
                "__module__": __name__,
                "__qualname__": "Bad",
                "__annotations__": {"id": Field[int]},
                "id": field(primary_key=True),
                "Meta": type("Meta", (), {option: value}),
            },
        )
