"""An argument of the wrong kind is an error of Blaze's own, with the cure, and not one of Python's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest

from blaze import (
    AsyncSession,
    ConfigurationError,
    Engine,
    QueryError,
    Session,
    SessionError,
    create_all,
    drop_all,
    row,
)
from blaze.errors import BlazeError, UnknownFieldError
from tests.badinput.models import MODELS, Work, Writer
from tests.types.harness import Opener, m

FLAGS = ("autocommit", "auto_commit", "auto_rollback", "atomic", "autoflush")


@pytest.mark.parametrize("session", [Session, AsyncSession])
@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("value", ["no", 1, None])
def test_flags_of_sessions_are_booleans(session: Any, flag: str, value: Any) -> None:
    with Engine("sqlite://") as engine, pytest.raises(ConfigurationError, match=f"{flag} is True or False"):
        session(engine, **{flag: value})


@pytest.mark.parametrize("name", ["pool_timeout", "recycle"])
@pytest.mark.parametrize("value", ["x", None.__class__, True, float("nan"), -1])
def test_times_of_the_pool_are_seconds(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match="are seconds"):
        Engine("sqlite://", **{name: value})


CASES: dict[str, tuple[Callable[[], Any], type[BlazeError], str]] = {
    "NUL in a DSN": (lambda: Engine("sqlite:///a%00b.db"), ConfigurationError, "NUL character"),
    "create_all(None)": (lambda: create_all(None, MODELS), ConfigurationError, "not on a NoneType"),  # type: ignore[arg-type]
    "drop_all(None)": (lambda: drop_all(None, MODELS), ConfigurationError, "not on a NoneType"),  # type: ignore[arg-type]
    "row()": (row, QueryError, "at least one"),
    "row == 5": (lambda: row(Work.id, Work.title) == 5, QueryError, "another row"),
    "rows of two widths": (lambda: row(Work.id, Work.title) == row(1), QueryError, "rows of 2 and 1 values"),
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_arguments(case: str) -> None:
    call, kind, words = CASES[case]
    with pytest.raises(kind, match=words):
        call()


def test_leaving_a_session_that_was_not_entered(engine: Engine) -> None:
    with pytest.raises(SessionError, match="without having been entered"):
        Session(engine).__exit__(None, None, None)


def test_a_query_is_indexed_by_numbers(engine: Engine) -> None:
    with Session(engine) as session:
        for index in ("x", None, 1.5, True):
            with pytest.raises(QueryError, match=f"not by a {type(index).__name__}"):
                session.query(Work)[index]  # type: ignore[call-overload]


def test_rows_of_values_are_compared(play: Callable[..., Any]) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            key = row(Writer.id, Writer.name)
            for right in (row(1, "Jane"), (1, "Jane"), [1, "Jane"]):
                assert await m(session.query(Writer).where(key == right).count()) == 1
                assert await m(session.query(Writer).where(key != right).count()) == 0
                assert await m(session.query(Writer).where(key <= right).count()) == 1
                assert await m(session.query(Writer).where(key > right).count()) == 0

    play(scenario)


def test_get_or_create_looks_at_the_defaults_even_where_the_row_is_there(play: Callable[..., Any]) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            for name in ("Jane", "Mary"):
                with pytest.raises(UnknownFieldError, match=r"'emial'; did you mean 'email'"):
                    await m(session.get_or_create(Writer, name=name, defaults={"emial": "x"}))
            found, made = await m(session.get_or_create(Writer, name="Jane", defaults={"works": []}))
            assert (found.name, made) == ("Jane", False)

    play(scenario)


def test_bulk_operations_take_lists(play: Callable[..., Any]) -> None:
    async def scenario(open_session: Opener) -> None:
        async with open_session() as session:
            for value in (1, None, "12"):
                for call in (
                    lambda: session.bulk_delete(Work, value),  # noqa: B023
                    lambda: session.bulk_insert(value),  # noqa: B023
                    lambda: session.bulk_update(value),  # noqa: B023
                    lambda: session.upsert(value, conflict=[Work.id]),  # noqa: B023
                ):
                    with pytest.raises(QueryError, match="take a list, not"):
                        await m(call())

    play(scenario)


async def test_run_in_transaction_of_an_async_session_takes_an_async_function(path: Path) -> None:
    async with Engine(f"sqlite:///{path}") as engine, AsyncSession(engine) as session:

        def plain(own: AsyncSession) -> int:
            own.add(Writer(name="Mary"))
            return 5

        wrong: Any = plain
        with pytest.raises(SessionError, match=r"an async def .* plain\(\) gave a plain int"):
            await session.run_in_transaction(wrong)
        assert await session.query(Writer).count() == 1


def test_an_expression_that_is_nested_too_deeply(engine: Engine) -> None:
    deep = Work.id
    for _ in range(3_000):
        deep = deep + 1  # type: ignore[assignment]
    with Session(engine) as session:
        with pytest.raises(QueryError, match="nested too deeply"):
            session.query(deep).all()
        with pytest.raises(QueryError, match="nested too deeply"):
            session.query(Work).where(deep > 1).all()
        assert session.query(Work).count() == 1
