"""Caches by URL: the scheme is the name of an installed plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blaze import (
    AsyncSession,
    ConfigurationError,
    Engine,
    Field,
    Model,
    Session,
    create_all,
    field,
)
from blaze.testing import count_statements
from tests.discovery.distributions import Site
from tests.support import redis as support


class Place(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str]


GOOD = """
    from blaze import MemoryCache

    def make(url):
        return MemoryCache(size=int(url.rpartition("/")[2]))

    make.protocol_version = 1
"""
BROKEN = """
    def failing(url):
        raise OSError("no room in " + url)

    def old(url): ...

    old.protocol_version = 7
    number = 3
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.install("blaze-shelf", {"blaze.caches": {"shelf": "shelf_plugin:make"}}, shelf_plugin=GOOD)
    names = {name: f"broken_plugin:{name}" for name in ("failing", "old", "number", "gone")}
    site.install("blaze-broken", {"blaze.caches": names}, "0.1", broken_plugin=BROKEN)
    return site


SCRIPT = """
    import json, sys
    from blaze import BlazeError, Engine, Session
    engine = Engine("sqlite://")
    said = {}
    for name in ("failing", "old", "number", "gone", "unknown"):
        try:
            Session(engine, cache_backend=f"{name}://user:tops3cret@host/5")
        except BlazeError as error:
            said[name] = [type(error).__name__, str(error)]
    one, other = [Session(engine, cache_backend="shelf://here/5").cache.backend for _ in range(2)]
    print(json.dumps([said, one is other, one.stats().capacity]))
"""


@pytest.mark.requirement("R90")
def test_installed_caches_are_made_by_url_and_broken_ones_named(site: Site) -> None:
    said, same, capacity = site.run(SCRIPT)
    assert (same, capacity) == (True, 5)
    kinds = {name: kind for name, (kind, _) in said.items()}
    assert kinds.pop("unknown") == "ConfigurationError"
    assert set(kinds.values()) == {"PluginError"}
    for name, words in {
        "failing": "OSError", "old": "protocol version 7", "number": "int is not a function", "gone": "gone",
    }.items():  # fmt: skip
        assert f"'{name}'" in said[name][1]
        assert "blaze-broken 0.1" in said[name][1]
        assert words in said[name][1]
    assert "tops3cret" not in str(said)


def test_a_text_without_a_scheme_is_refused() -> None:
    with Engine("sqlite://") as engine, pytest.raises(ConfigurationError, match="redis://localhost/0"):
        Session(engine, cache_backend="localhost")


@pytest.mark.requirement("R36")
async def test_redis_by_url(tmp_path: Path) -> None:
    with support.any_server(tmp_path) as found, Engine(f"sqlite:///{tmp_path}/places.db") as engine:
        if found is None:
            pytest.skip(support.MISSING)
        create_all(engine, [Place])
        with support.own_namespace(found) as namespace:
            await use(engine, f"{found}?namespace={namespace}&timeout=10&ttl=60")


async def use(engine: Engine, url: str) -> None:
    with Session(engine, cache_backend=url) as session:
        session.add(Place(name="Quito"))
        session.commit()
    for statements in (1, 0):
        with Session(engine, cache_backend=url) as session, count_statements(session) as count:
            assert session.get_one(Place, 1).name == "Quito"
        assert count.total == statements
    async with AsyncSession(engine, cache_backend=url) as asynchronous:
        assert (await asynchronous.get_one(Place, 1)).name == "Quito"
        assert asynchronous.query_stats().total == 0
        (await asynchronous.get_one(Place, 1)).name = "Lima"
        await asynchronous.commit()
    with Session(engine, cache_backend=url) as session:
        assert session.get_one(Place, 1).name == "Lima"
        shared: Any = session.cache.backend  # type: ignore[union-attr]
    assert shared._settings.timeout == 10
    await shared.aio.close()
    shared.close()
    await engine.adispose()
