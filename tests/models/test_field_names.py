"""Any Python name is a field's name, also one that the generated functions use within."""

from __future__ import annotations

import enum
import inspect
import keyword
import re
import types
from pathlib import Path
from typing import Any, Optional

import pytest

import blaze
from blaze import (
    Engine,
    Field,
    ForeignKey,
    Model,
    ModelError,
    Q,
    Session,
    create_all,
    field,
    foreign_key,
)
from blaze.errors import UnknownFieldError

GENERATORS = ("core/instances.py", "core/loaders.py", "core/takers.py", "core/codegen.py", "sql/compiled.py")


def _inner_names() -> list[str]:
    """Every word of the sources that generate code, plain and with a number behind it."""
    root = Path(blaze.__file__).parent
    words = {word for name in GENERATORS for word in re.findall(r"[A-Za-z]\w*", (root / name).read_text())}
    words |= {f"{word}{number}" for word in words if len(word) < 8 for number in range(2)}
    words |= {"self", "positional", "unknown", "UNSET", "mapper", "mro", "dv0", "ev0", "Av0", "Ev0", "make_x"}
    return sorted(
        word
        for word in words
        if not keyword.iskeyword(word)
        and "__" not in word
        and not hasattr(Model, word)
        and word.lower() not in ("id", "owner_id")
    )


class Owner(Model):
    name: Field[str]


def test_every_name_that_generated_code_uses_is_a_fields_name() -> None:
    # SQLite tells no case in the names of columns and takes 2,000 of them.
    names = list({name.lower(): name for name in _inner_names()}.values())
    assert {"self", "positional", "unknown", "mapper", "v0", "o0"} <= set(names)
    kinds: list[Any] = [Field[int], Field[Optional[str]], Field[dict[str, int]]]
    values: list[Any] = [7, "x", {"a": 1}]
    specs: list[Any] = [field(), field(default="d"), field(default_factory=dict)]

    def body(space: dict[str, Any]) -> None:
        space["__annotations__"] = {name: kinds[n % 3] for n, name in enumerate(names)}
        space.update({name: specs[n % 3] for n, name in enumerate(names)})

    made: Any = types.new_class("Inner", (Model,), {}, body)
    given = {name: values[n % 3] for n, name in enumerate(names)}
    changed = {name: [8, "y"][n % 3] for n, name in enumerate(names) if n % 3 != 2}
    with Engine("sqlite://") as engine:
        create_all(engine, [made])
        with Session(engine) as s:
            s.add(made(**given))
            s.commit()
        with Session(engine) as s:
            found = s.query(made).one()
            assert found.to_dict() == {"id": 1, **given}
            assert s.query(made).only(*names[:3]).one().id == 1
            for name, value in changed.items():
                setattr(found, name, value)
            s.commit()
        with Session(engine) as s:
            assert s.query(made).filter(self=changed.get("self")).count() <= 1
            assert s.query(made).filter(Q(positional=None)).count() == 0
            assert s.get_one(made, 1).to_dict() == {**given, "id": 1, **changed}
            assert s.bulk_insert([made(**given) for _ in range(3)]) is not None
            assert s.query(made).count() == 4
            s.rollback()


@pytest.mark.parametrize("name", ["UNSET", "self", "unknown", "_in_"])
def test_a_relation_may_have_such_a_name(name: str) -> None:
    if name.startswith("_"):
        with pytest.raises(ModelError, match="must not start with '_'"):
            types.new_class("Bad", (Model,), {}, lambda s: s.update(__annotations__={name: Field[int]}))
        return

    def body(space: dict[str, Any]) -> None:
        space["__annotations__"] = {name: ForeignKey[Owner]}
        space[name] = foreign_key(related_name=f"named_{name.lower()}")

    made: Any = types.new_class(f"With{name}", (Model,), {}, body)
    with Engine("sqlite://") as engine:
        create_all(engine, [Owner, made])
        with Session(engine) as s:
            owner = Owner(name="a")
            s.add_all([made(**{name: owner}), owner])
            s.commit()
            s.add(made(**{f"{name}_id": owner.id}))
            s.commit()
        with Session(engine) as s:
            assert [getattr(each, name).name for each in s.query(made).include(name)] == ["a", "a"]
    with pytest.raises(UnknownFieldError, match="unknown field 'x'"):
        made(x=1)
    assert name in inspect.signature(made).parameters


def test_names_that_are_no_python_names_are_refused() -> None:
    for name in ("class", "a b", "1a", "a-b"):
        with pytest.raises(ModelError, match="must be a Python name that is no keyword"):
            types.new_class(
                "Bad", (Model,), {}, lambda s, name=name: s.update(__annotations__={name: Field[int]})
            )


def test_a_class_made_by_a_call_is_a_model() -> None:
    made: Any = types.new_class("MadeByCall", (Model,))
    assert made().id is None
    assert made.__qualname__ == "MadeByCall"


def test_an_enum_without_members_is_refused_by_the_model() -> None:
    class Empty(enum.Enum):
        pass

    def body(space: dict[str, Any]) -> None:
        space["__annotations__"] = {"state": Field[Empty]}

    with pytest.raises(ModelError, match=r"WithEmpty\.state: the enum Empty has no members"):
        types.new_class("WithEmpty", (Model,), {}, body)
