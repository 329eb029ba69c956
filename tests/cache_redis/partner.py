"""A process with a session that a test drives step by step.

    python -m tests.cache_redis.partner URL NAMESPACE DATABASE

Each line that comes in is a call, each line that goes out its answer, in JSON:

- `["begin", script, text]`: make a new session that follows the script.
- `["step", clock]`: take one step of it; answers `[blocked, done, [[clock at begin, name] of each read]]`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from blaze import Engine, Session
from blaze.plan import Plan
from tests.cache.interleave import Actor, Blocked, Script
from tests.cache.models import Writer


class Steps:
    """What an actor needs of the world around it."""

    def __init__(self) -> None:
        self.clock = 0
        self.seen: list[Any] = []
        self.now: Any = None

    def committed(self) -> None:
        """Do nothing: the test looks itself."""

    def end_step(self) -> None:
        """Do nothing: the test counts."""


def read_twice(text: str) -> Script:
    def script(actor: Actor) -> Plan[None]:
        yield from actor.read(Writer, 1)
        yield from actor.read(Writer, 1)

    return script


def change(text: str) -> Script:
    def script(actor: Actor) -> Plan[None]:
        yield from actor.change(Writer, 1, name=text)
        yield from actor.commit()
        yield from actor.read(Writer, 1)

    return script


def change_and_regret(text: str) -> Script:
    def script(actor: Actor) -> Plan[None]:
        yield from actor.change(Writer, 1, name="never")
        yield from actor.flush()
        yield from actor.rollback()
        yield from actor.read(Writer, 1)

    return script


def read_and_change(text: str) -> Script:
    def script(actor: Actor) -> Plan[None]:
        yield from actor.read(Writer, 1)
        yield from change(text)(actor)

    return script


SCRIPTS = {each.__name__: each for each in (read_twice, change, change_and_regret, read_and_change)}


def main(url: str, namespace: str, database: str) -> None:
    from blaze_cache_redis import RedisCache

    cache = RedisCache(url, namespace=namespace, timeout=10.0)
    with Engine(f"sqlite:///{database}?synchronous=off&lock_timeout=0") as engine:
        actor: Any = None
        for line in sys.stdin:
            what, *arguments = json.loads(line)
            if what == "begin":
                if actor is not None:
                    actor.plan.close()
                    actor.session.close()
                script, text = arguments
                actor = Actor(Steps(), Session(engine, cache_backend=cache), SCRIPTS[script](text))  # type: ignore[arg-type]
                actor.resume(actor.plan.send, None)
                answer: Any = None
            else:
                (actor.world.clock,) = arguments
                blocked = False
                try:
                    actor.step().send(None)
                except StopIteration:
                    pass
                except Blocked:
                    blocked = True
                seen = [[read.first, read.value and read.value[0]] for read in actor.world.seen]
                answer = [blocked, actor.done, seen]
            print(json.dumps(answer), flush=True)
        if actor is not None:
            actor.plan.close()
            actor.session.close()
    cache.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
