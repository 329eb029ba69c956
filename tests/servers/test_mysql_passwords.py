"""Passwords beyond ASCII, which the drivers would encode in their own way."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import pytest

from blaze import AsyncSession, ConfigurationError, Engine, Session
from tests.support.loops import run

PASSWORDS = ["pä", "pä€ß", "пароль", "🔑"]


@pytest.fixture
def users(mysql: str) -> Iterator[Any]:
    """Make users with these passwords; give what makes the DSN of one with a password."""
    parts = urlsplit(mysql)
    names = [f"blaze_password_{n}" for n in range(len(PASSWORDS))]
    with Engine(mysql) as engine, Session(engine) as s:
        for name, password in zip(names, PASSWORDS):
            s.execute(f"DROP USER IF EXISTS {name}@'%'")
            s.execute(f"CREATE USER {name}@'%' IDENTIFIED BY '{password}'")
            s.execute(f"GRANT ALL ON `{parts.path[1:]}`.* TO {name}@'%'")

        def dsn(number: int, password: str) -> str:
            host = f"{parts.hostname}:{parts.port or 3306}"
            return urlunsplit(parts._replace(netloc=f"{names[number]}:{password}@{host}"))

        try:
            yield dsn
        finally:
            for name in names:
                s.execute(f"DROP USER {name}@'%'")


def attempts(dsn: str) -> Iterator[Any]:
    def blocking() -> Any:
        with Engine(dsn) as engine, Session(engine) as s:
            return s.exec_scalar("SELECT 1")

    async def awaiting() -> Any:
        engine = Engine(dsn)
        try:
            async with AsyncSession(engine) as s:
                return await s.exec_scalar("SELECT 1")
        finally:
            await engine.adispose()

    yield blocking
    yield lambda: run(awaiting())


@pytest.mark.parametrize("number", range(len(PASSWORDS)))
def test_they_log_in(users: Any, number: int) -> None:
    for attempt in attempts(users(number, quote(PASSWORDS[number]))):
        assert attempt() == 1


@pytest.mark.parametrize("password", ["s€cret-пароль", "secret-%ff"])
def test_wrong_ones_are_refused_and_not_shown(users: Any, password: str) -> None:
    for attempt in attempts(users(0, password if "%" in password else quote(password))):
        with pytest.raises(ConfigurationError, match="user or password is wrong") as raised:
            attempt()
        shown = "".join(traceback.format_exception(None, raised.value, raised.tb))
        assert "UnicodeEncodeError" not in shown
        assert password.partition("-")[0] not in str(raised.value) + repr(raised.value.__cause__)
