"""`del book.title` is refused, or named by the flush, and nothing is lost."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from blaze import Engine, Field, ForeignKey, Model, create_all, field, foreign_key
from blaze.errors import ValidationError
from tests.persistence.twins import Database


class Keeper(Model):
    name: Field[str]


class Animal(Model):
    name: Field[str]
    tags: Field[dict[str, Any]] = field(default_factory=dict)
    keeper: ForeignKey[Optional[Keeper]] = foreign_key(related_name="animals")


@pytest.fixture(autouse=True)
def tables(files: Engine) -> None:
    create_all(files, [Keeper, Animal])


async def test_a_loaded_object_refuses(db: Database) -> None:
    async with db.session() as session:
        session.session.add(Animal(name="Tom"))
        await session.commit()
        [animal] = await session.all(Animal)
        for name in ("id", "name", "tags", "keeper", "keeper_id"):
            with pytest.raises(AttributeError, match=f"cannot delete '{name}' of a Animal: .* None"):
                delattr(animal, name)
        assert (animal.name, animal.tags, animal.keeper_id) == ("Tom", {}, None)
        assert not session.session.dirty


@pytest.mark.parametrize("column", ["id", "name"])
async def test_the_flush_names_what_a_new_object_has_lost(db: Database, column: str) -> None:
    async with db.session() as session:
        whole, animal = Animal(name="Kit"), Animal(name="Tom")
        session.session.add_all([whole, animal])
        delattr(animal, column)
        with pytest.raises(ValidationError, match=r"Animal.*was deleted; set it") as caught:
            await session.commit()
        assert list(caught.value.errors) == [column]
        setattr(animal, column, {"id": None, "name": "Tim"}[column])
        await session.commit()
        assert {found.name for found in await session.all(Animal)} == {"Kit", animal.name}


async def test_the_flush_names_what_a_changed_object_has_lost(db: Database) -> None:
    async with db.session() as session:
        session.session.add(Animal(name="Tom"))
        await session.commit()
        [animal] = await session.all(Animal)
        animal.keeper_id = None
        animal.name = "Tim"
        del animal.name
        with pytest.raises(ValidationError, match="name: has no value: it was deleted"):
            await session.commit()
        await session.rollback()
        assert animal.name == "Tom"
        animal.name = "Tim"
        await session.commit()
        assert [found.name for found in await session.all(Animal)] == ["Tim"]
