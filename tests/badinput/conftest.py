"""A file database with one writer and one work, and both kinds of session on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from blaze import Engine, Session, create_all
from tests.badinput.models import MODELS, Work, Writer
from tests.types.harness import Opener


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the file of a database that holds one writer and one work."""
    file = tmp_path / "shop.db"
    with Engine(f"sqlite:///{file}") as engine:
        create_all(engine, MODELS)
        with Session(engine) as session:
            session.add(Work(title="Emma", writer=Writer(name="Jane", email="jane@example.org")))
            session.commit()
    return file


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    with Engine(f"sqlite:///{path}?lock_timeout=0.05") as engine:
        yield engine


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def play(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Callable[..., Any]]:
    """Run a scenario with sessions of the kind under test, on the database or on another engine."""
    loop = asyncio.new_event_loop()
    engines = [engine]

    def run(scenario: Any, other: Any = None) -> None:
        if other is not None:
            engines.append(other)
        loop.run_until_complete(scenario(Opener(request.param, engines[-1])))

    yield run
    for each in engines:
        loop.run_until_complete(each.adispose())
    loop.close()
