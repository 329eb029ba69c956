"""Two processes on one database and one Redis, in a thousand orders: none reads a stale row."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blaze import Engine, Session
from blaze.cache.guard import guard_of
from tests.cache.models import Writer
from tests.cache_redis.conftest import TIMEOUT
from tests.cache_redis.partner import SCRIPTS
from tests.cache_redis.watched import RedisCache

ROOT = Path(__file__).parents[2]
RUNS = 1_000


class Partner:
    """The other end of `partner.py`."""

    def __init__(self, *arguments: str) -> None:
        paths = [str(Path(path).resolve()) for path in sys.path if path]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.cache_redis.partner", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def call(self, *arguments: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(arguments) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        assert self.process.wait(30) == 0
        self.process.stdout.close()


@pytest.fixture
def partners(engine: Engine, redis_url: str, namespace: str, tmp_path: Path) -> Iterator[list[Partner]]:
    partners = [Partner(redis_url, namespace, str(tmp_path / "test.db")) for _ in range(2)]
    yield partners
    for partner in partners:
        partner.end()


@pytest.mark.requirement("R33", "R34")
def test_two_processes_in_a_thousand_orders_read_nothing_stale(
    partners: list[Partner], tmp_path: Path
) -> None:
    raw = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
    raw.execute("PRAGMA synchronous = off")
    raw.execute("INSERT INTO cached_writer VALUES (1, 'start')")
    choose = random.Random(20)
    orders = set()
    reads = 0
    for run in range(RUNS):
        scripts = [choose.choice(sorted(SCRIPTS)), choose.choice(sorted(SCRIPTS))]
        for number, partner in enumerate(partners):
            partner.call("begin", scripts[number], f"{run} by {number}")
        history = [raw.execute("SELECT name FROM cached_writer").fetchone()[0]]  # by step
        counted = [0, 0]
        alive = [0, 1]
        order = []
        while alive:
            number = choose.choice(alive)
            blocked, done, seen = partners[number].call("step", len(history) - 1)
            order.append(number)
            if not blocked:
                history.append(raw.execute("SELECT name FROM cached_writer").fetchone()[0])
            for first, name in seen[counted[number] :]:
                # the step that has just been taken ended the read: what was committed before it began to end
                assert name in history[first:], (run, scripts, order, history)
                reads += 1
            counted[number] = len(seen)
            if done:
                alive.remove(number)
        orders.add((*scripts, *order))
    raw.close()
    assert reads > RUNS
    assert len(orders) > RUNS / 2


COUNT_UP = """
import sys
from blaze import Engine, Session
from blaze_cache_redis import RedisCache
from tests.cache.models import Writer
url, namespace, database = sys.argv[1:]
cache = RedisCache(url, namespace=namespace, timeout=10.0)
with Engine(f"sqlite:///{database}?synchronous=off") as engine:
    for number in range(1, 301):
        with Session(engine, cache_backend=cache) as session:
            session.get_one(Writer, 1).name = str(number)
            session.commit()
        print(number, flush=True)
cache.close()
"""


@pytest.mark.requirement("R34")
def test_a_process_that_reads_never_falls_behind_one_that_writes(
    engine: Engine, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Both run freely: what was committed when a read began is the least that it may give."""
    with Session(engine) as session:
        session.add(Writer(name="0"))
        session.commit()
    paths = [str(Path(path).resolve()) for path in sys.path if path]
    writer = subprocess.Popen(
        [sys.executable, "-c", COUNT_UP, redis_url, namespace, str(tmp_path / "test.db")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    cache = RedisCache(redis_url, namespace=namespace, timeout=TIMEOUT)
    reads = 0
    for line in writer.stdout:
        for _ in range(3):
            with Session(engine, cache_backend=cache) as session:
                assert int(session.get_one(Writer, 1).name) >= int(line)
                reads += 1
    assert writer.wait(30) == 0
    writer.stdout.close()
    assert reads == 900
    with Session(engine, cache_backend=cache) as session:
        session.get_one(Writer, 1)
    with Session(engine, cache_backend=cache) as session:
        assert session.get_one(Writer, 1).name == "300"
        assert session.query_stats().total == 0
    assert cache.stats().hits
    assert guard_of(cache).errors == 0
    cache.close()
