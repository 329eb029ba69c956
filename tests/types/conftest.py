"""A database with every model of these tests, and both kinds of session on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from blaze import Engine, create_all
from tests.types.harness import Opener
from tests.types.models import MODELS


@pytest.fixture(params=[False, True], ids=["sync", "async"], scope="module")
def play(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Any], None]]:
    """Run a scenario with sessions of the kind under test."""
    engine = Engine(f"sqlite:///{tmp_path_factory.mktemp('types') / 'types.db'}?synchronous=off")
    create_all(engine, MODELS)
    loop = asyncio.new_event_loop()
    open_session = Opener(request.param, engine)
    yield lambda scenario: loop.run_until_complete(scenario(open_session))
    loop.run_until_complete(engine.adispose())
    loop.close()
