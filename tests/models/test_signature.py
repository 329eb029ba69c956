"""What shells and tools see of a model's constructor, before the first object as well as after it."""

from __future__ import annotations

import inspect
from typing import Optional

from blaze import Field, ForeignKey, Model, field, foreign_key


def test_the_signature_of_a_model_names_its_fields() -> None:
    class Owner(Model):
        name: Field[str]

    class Pet(Model):
        name: Field[str] = field(default="Tom")
        owner: ForeignKey[Optional[Owner]] = foreign_key(related_name="pets")

    for _ in range(2):
        parameters = inspect.signature(Pet).parameters
        assert list(parameters) == ["id", "name", "owner_id", "owner"]
        assert parameters["name"].default == "Tom"
        assert {p.kind for p in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
        assert Pet(name="Kit").name == "Kit"


def test_the_signature_of_a_constructor_of_ones_own_is_that() -> None:
    class Pet(Model):
        name: Field[str]

        def __init__(self, name: str) -> None:
            super().__init__(name=name)

    assert list(inspect.signature(Pet).parameters) == ["name"]
    assert Pet("Tom").name == "Tom"  # type: ignore[misc]
