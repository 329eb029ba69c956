"""Defaults, generated columns, on_update, choices, validators and the model's own rules."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterator
from typing import Any, Callable, Optional

import pytest

from blaze import Engine, Field, Insert, Model, Session, ValidationError, create_all, field

UTC = dt.timezone.utc
_ticks = iter(range(1_000_000))


def tick() -> int:
    return next(_ticks)


def shout(value: str) -> None:
    if not value.isupper():
        raise ValueError("must be in capitals")


def short(value: str) -> None:
    if len(value) > 3:
        raise ValidationError({"word": ["must have 3 letters at most"]})


class Defaults(Model):
    plain: Field[int] = field(default=7)
    made: Field[int] = field(default_factory=tick)
    tags: Field[list[str]] = field(default_factory=list)
    listed: Field[list[int]] = field(default_factory=lambda: [1, 2])
    meta: Field[dict[str, Any]] = field(default_factory=lambda: {"a": [1]})
    server: Field[int] = field(server_default="41 + 1")
    stamped: Field[Optional[dt.datetime]] = field(server_default="CURRENT_TIMESTAMP")
    nothing: Field[Optional[str]]


class Rectangle(Model):
    width: Field[int]
    height: Field[int]
    area: Field[int] = field(generated="width * height")
    changed: Field[int] = field(default=0, on_update=tick)


class Size(str, enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Strict(Model):
    word: Field[str] = field(validators=[shout, short], default="ABC")
    pick: Field[str] = field(choices=["a", "b"], default="a")
    low: Field[int] = field(default=0)
    high: Field[int] = field(default=1)

    def validate(self) -> None:
        if self.low > self.high:
            raise ValidationError({"low": ["must not exceed high"]})

    def clean(self) -> None:
        if self.high > 100:
            raise ValidationError({"high": ["is too high"], "low": ["is not checked"]})


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine("sqlite://") as engine:
        create_all(engine, [Defaults, Rectangle, Strict])
        yield engine


def test_mutable_defaults_are_not_shared() -> None:
    first, second = Defaults(), Defaults()
    first.tags.append("x")
    first.listed.append(3)
    first.meta["a"].append(2)
    assert (second.tags, second.listed, second.meta) == ([], [1, 2], {"a": [1]})
    assert Defaults().meta == {"a": [1]}
    assert second.made == first.made + 1


def test_defaults_by_every_way_in(engine: Engine) -> None:
    with Session(engine) as session:
        one = Defaults()
        session.add(one)
        session.flush()
        assert one.server == 42
        assert one.nothing is None
        session.bulk_insert([Defaults()])
        session.exec(Insert(Defaults).values(plain=7))
        session.commit()
    with Session(engine) as session:
        rows = session.query(Defaults).all()
        assert [(r.plain, r.tags, r.listed, r.meta, r.server) for r in rows] == [
            (7, [], [1, 2], {"a": [1]}, 42)
        ] * 3
        assert len({r.made for r in rows}) == 3
        rows[0].meta["a"].append(5)
        session.commit()
    assert Defaults().meta == {"a": [1]}


def test_none_is_a_value_and_no_default(engine: Engine) -> None:
    with Session(engine) as session:
        session.add(Defaults(plain=None))  # type: ignore[arg-type]
        with pytest.raises(ValidationError, match="plain"):
            session.commit()
        session.rollback()


def test_generated_columns_are_read_back_and_cannot_be_written(engine: Engine) -> None:
    with Session(engine) as session:
        one = Rectangle(width=2, height=3)
        session.add(one)
        session.commit()
        assert one.area == 6
        one.width = 10
        session.commit()
        session.refresh(one)
        assert one.area == 30
        session.bulk_insert([Rectangle(width=4, height=5)])
        session.exec(Insert(Rectangle).values(width=6, height=7))
        session.commit()
        assert sorted(session.query(Rectangle.area).scalars()) == [20, 30, 42]


def test_on_update_runs_at_each_change_and_only_then(engine: Engine) -> None:
    with Session(engine) as session:
        one = Rectangle(width=2, height=3)
        session.add(one)
        session.commit()
        assert one.changed == 0
        one.width = 3
        session.commit()
        first = one.changed
        assert first > 0
        session.commit()
        assert one.changed == first
        one.changed = -1
        one.height = 9
        session.commit()
        assert one.changed == -1


@pytest.mark.parametrize("write", ["add", "bulk", "statement"])
def test_choices_and_validators_give_all_messages_at_once(engine: Engine, write: str) -> None:
    values: dict[str, Any] = {"word": "lower", "pick": "c"}
    with Session(engine) as session:
        if write == "add":
            session.add(Strict(**values))
        writes: dict[str, Callable[[], Any]] = {
            "add": session.flush,
            "bulk": lambda: session.bulk_insert([Strict(), Strict(**values)]),
            "statement": lambda: session.exec(Insert(Strict).values(**values)),
        }
        with pytest.raises(ValidationError) as caught:
            writes[write]()
        session.rollback()
    assert caught.value.errors["word"] == ["must be in capitals", "must have 3 letters at most"]
    assert caught.value.errors["pick"] == ["must be one of 'a', 'b'"]
    for words in ("Strict", "word", "capitals", "3 letters", "pick"):
        assert words in str(caught.value)


def test_own_rules_join_the_messages_of_fields(engine: Engine) -> None:
    with Session(engine) as session:
        wrong = Strict(word="no", low=300, high=200, pick="z")
        session.add(wrong)
        with pytest.raises(ValidationError) as caught:
            session.commit()
        assert caught.value.errors == {
            "word": ["must be in capitals"],
            "pick": ["must be one of 'a', 'b'"],
            "low": ["must not exceed high", "is not checked"],
            "high": ["is too high"],
        }
        wrong.word, wrong.pick, wrong.low, wrong.high = "OK", "b", 0, 1
        session.add(wrong)
        session.commit()
        wrong.low = 5
        with pytest.raises(ValidationError, match="must not exceed high"):
            session.flush()
        session.rollback()
        assert wrong.low == 0


def test_full_clean_needs_no_session() -> None:
    with pytest.raises(ValidationError, match="capitals"):
        Strict(word="x").full_clean()
    Strict().full_clean()


def test_refused_values_reach_no_choice(engine: Engine) -> None:
    check: Callable[..., Any] = Strict(pick="c").full_clean
    with pytest.raises(ValidationError, match="one of 'a', 'b'"):
        check()
