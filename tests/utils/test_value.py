"""Portable types and configurations are values: equal by class and fields, hashable, immutable."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass
from typing import Any

import pytest

from blaze import ConnectionConfig
from blaze.dialects import types as t
from blaze.utils.awaitables import is_awaitable

VALUES = [t.Integer(), t.Numeric(10, 2), t.String(3), t.DateTime(timezone=False), t.Array(t.Array(t.Uuid()))]


@dataclass(frozen=True)
class Money(t.Custom):
    currency: str
    storage = t.Integer()


class Cents(t.Custom):
    storage = t.Integer()


@pytest.mark.parametrize("value", [*VALUES, Money("EUR"), Cents()], ids=repr)
def test_copies_are_equal_and_find_each_other_in_a_dict(value: t.SQLType) -> None:
    known = {value: "known"}
    for other in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert other == value
        assert known[other] == "known"
        assert repr(other) == repr(value)


def test_a_pickle_carries_no_hash() -> None:
    fresh, used = t.Numeric(10, 2), t.Numeric(10, 2)
    hash(used)
    assert pickle.dumps(fresh) == pickle.dumps(used)


def test_other_classes_and_other_fields_are_different() -> None:
    values = {
        *VALUES,
        t.Float(),
        t.Numeric(10),
        t.Numeric(),
        t.String(),
        t.DateTime(),
        Cents(),
        Money("EUR"),
        Money("USD"),
    }
    assert len(values) == 13
    assert t.Integer() != 1


def test_the_fields_are_shown() -> None:
    assert repr(t.Integer()) == "Integer()"
    assert repr(t.Numeric(scale=2, precision=10)) == "Numeric(precision=10, scale=2)"
    assert repr(t.Array(t.String())) == "Array(item=String(length=None))"
    assert repr(Money("EUR")) == "Money(currency='EUR')"


@pytest.mark.parametrize("value", [t.Numeric(10, 2), Money("EUR"), ConnectionConfig("sqlite")], ids=str)
def test_a_value_cannot_be_changed(value: Any) -> None:
    for name in (*vars(value), "other"):
        with pytest.raises(AttributeError):
            setattr(value, name, 1)
        with pytest.raises(AttributeError):
            delattr(value, name)


def test_a_changed_configuration_is_another_one() -> None:
    config = ConnectionConfig.from_dsn("sqlite:///a.db?lock_timeout=2")
    other = config.replace(database="b.db")
    assert (config.database, other.database, other.options) == ("a.db", "b.db", {"lock_timeout": 2.0})
    assert other != config
    assert other.replace(database="a.db") == config
    assert hash(other.replace(database="a.db")) == hash(config)


def test_what_answers_to_every_name_is_not_awaitable() -> None:
    class Anything:
        def __getattr__(self, name: str) -> Any:
            return self

    async def wait() -> None: ...

    waiting = wait()
    assert is_awaitable(waiting)
    waiting.close()
    assert not is_awaitable(Anything())
