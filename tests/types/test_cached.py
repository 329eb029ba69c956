"""Whatever is written comes back equal and of the same type through the second-level cache, too."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest
from hypothesis import given

from blaze import MemoryCache
from blaze.testing import count_statements
from tests.types.harness import Opener, m
from tests.types.test_round_trip import batch, empty, quick
from tests.types.values import VALUES, same


@pytest.mark.parametrize("model", VALUES, ids=lambda model: model.__name__)
@pytest.mark.requirement("R32", "R33", "R109")
def test_values_come_back_exactly(play: Callable[[Any], None], model: Any) -> None:
    @quick
    @given(batch(model))
    def round_trip(values: list[Any]) -> None:
        async def scenario(open_session: Opener) -> None:
            cache = MemoryCache()
            async with open_session() as session:
                await empty(session, model)
                rows = [model(value=v, other=v) for v in values]
                await m(session.add_all(rows))
                await m(session.commit())
                keys = [row.id for row in rows]
            for statements in (len(keys), 0):
                async with open_session(cache_backend=cache, performance_threshold=1_000) as session:
                    with count_statements(session) as n:
                        found = [await m(session.get_one(model, key)) for key in keys]
                        assert n == statements
                    for value, row in zip(values, found):
                        assert same(value, row.value), (value, row.value)
                        assert same(value, row.other), (value, row.other)
            stored = cache.get_many(list(cache._items))
            assert json.loads(json.dumps(stored)) == stored, "a cache elsewhere may keep it as JSON"

        play(scenario)

    round_trip()
