"""What a hostile review found: wrong objects blamed, hooks that are not called, values that show."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from blaze import (
    Engine,
    Field,
    Migration,
    MigrationEngine,
    Model,
    ModelError,
    QueryError,
    Select,
    Session,
    SessionError,
    ValidationError,
    create_all,
    field,
    func,
)
from blaze.errors import MigrationError
from blaze.schema.destructive import destruction
from blaze.testing import count_statements


class Counted(Model):
    id: Field[int] = field(primary_key=True)
    n: Field[int] = field(default=0)
    v: Field[int] = field(version=True, init=False)


class Plain(Model):
    id: Field[int] = field(primary_key=True)
    n: Field[int] = field(default=0)


class Account(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field()
    password: Field[str] = field()


def even(value: str) -> None:
    if len(value) % 2:
        raise ValueError("has an odd length")


class Strict(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field(max_length=2, choices=["ab"], validators=[even])


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    with Engine(database_url) as engine:
        create_all(engine, [Counted, Plain, Account])
        with Session(engine, slow_query_ms=0) as session:
            yield session
            session.rollback()


@pytest.mark.requirement("R28")
def test_an_error_names_the_object_that_does_not_fit(session: Session) -> None:
    session.add_all([Counted(), Plain(n=2**70)])
    with pytest.raises(ValidationError, match="Plain is not valid: n"):
        session.commit()


def test_an_error_tells_of_every_object_that_does_not_fit(session: Session) -> None:
    session.add_all([Plain(n=2**70), Plain(n=2**71)])
    with pytest.raises(ValidationError) as caught:
        session.commit()
    assert str(caught.value).count("Plain is not valid") == 2
    assert len(caught.value.others) == 1


def test_a_new_version_is_not_missing(session: Session) -> None:
    class Hooks:
        def after_validate(self, instance: Any) -> None:
            """Be there."""

    Counted().full_clean()
    with Session(session.engine, hooks=[Hooks()]) as hooked:
        hooked.add(Counted())
        hooked.commit()
        assert hooked.query(Counted).one().v == 1


def test_a_validation_error_of_one_text() -> None:
    assert ValidationError("end before start").errors == {"__all__": ["end before start"]}
    assert ValidationError({"name": "odd"}).errors == {"name": ["odd"]}


def test_all_messages_of_one_value() -> None:
    with pytest.raises(ValidationError) as caught:
        Strict(name="abc").full_clean()
    assert len(caught.value.errors["name"]) == 3


@pytest.mark.parametrize("kind", [staticmethod, classmethod])
def test_a_hook_of_a_model_that_is_no_plain_method(session: Session, kind: Any) -> None:
    class Odd(Model):
        id: Field[int] = field(primary_key=True)
        before_save = kind(lambda *_: None)

    session.add(Odd())
    with pytest.raises(ModelError, match="before_save"):
        session.flush()


def test_a_function_that_runs_nothing_when_called(session: Session) -> None:
    async def later(_: Any) -> None:
        """Never run."""

    def lazily(_: Any) -> Iterator[int]:
        yield 1

    for function in (later, lazily):
        with pytest.raises(SessionError, match="cannot run"):
            session.run_in_transaction(function)
    for retries in (-1, 1.5, True):
        with pytest.raises(SessionError, match="whole number"):
            session.run_in_transaction(lambda: None, retries=retries)  # type: ignore[arg-type]


@pytest.mark.requirement("R38")
def test_what_the_user_calls_a_parameter_hides_it(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "blaze"):
        session.execute("SELECT * FROM account WHERE name = :password", {"password": "hunter2"})
        derived = Select(Account.password.label("q")).alias("d")
        session.query(derived.c.q).where(derived.c.q == "hunter2").all()
        session.execute(
            "WITH z (name) AS (SELECT password FROM account) SELECT * FROM z WHERE name = ?", ["hunter2"]
        )
    shown = "".join(str(vars(record)) for record in caplog.records)
    assert "account" in shown
    assert "hunter2" not in shown
    assert "hunter2" not in str(session.export_query_stats(include_samples=True))


def test_an_argument_that_is_a_text_is_not_shown() -> None:
    with pytest.raises(QueryError) as caught:
        func.upper("hunter2")  # type: ignore[arg-type]
    assert "hunter2" not in str(caught.value)


@pytest.mark.requirement("R87")
def test_only_true_confirms(session: Session) -> None:
    engine = MigrationEngine(session.engine)
    with pytest.raises(MigrationError, match="True or False"):
        engine.apply([Migration("0001", operations=["DROP TABLE plain"])], confirm_destructive="no")  # type: ignore[arg-type]


@pytest.mark.requirement("R85")
@pytest.mark.parametrize(
    "condition",
    [
        "2=2",
        "((1=1))",
        "1<2",
        "'1'",
        "id IS NOT NULL OR id IS NULL",
        "id IS NULL OR id IS NOT NULL",
        "id = id",
    ],
)
def test_a_condition_that_leaves_nothing_out(condition: str) -> None:
    assert destruction(f"DELETE FROM plain WHERE {condition}") is not None
    assert destruction(f"WITH x AS (DELETE FROM plain WHERE {condition} RETURNING id) SELECT * FROM x")


@pytest.mark.parametrize("condition", ["id = 1", "(id) IN (SELECT 1)", '"id" > 5', "id = 1 OR id IS NULL"])
def test_a_condition_that_leaves_something_out(condition: str) -> None:
    assert destruction(f"DELETE FROM plain WHERE {condition}") is None


def test_a_count_ends_with_its_block(session: Session) -> None:
    with count_statements(session) as count:
        session.query(Plain).count()
    session.query(Plain).count()
    assert count == 1
