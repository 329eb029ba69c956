"""Sessions that are driven command by command, in every order in which their commands can come.

An actor is a session with a script: a plan, of which one command is one step, together with the commands
after it that nobody else can notice (writing statements within a transaction, savepoints). `explore` runs a
scenario once for every interleaving of the steps of its actors; after each step the committed rows are noted,
and every read must give what was committed at some moment between its first and its last step.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Callable, NamedTuple, Optional

from blaze import AsyncSession, DatabaseError, Engine, MemoryCache, Session
from blaze.persistence import objects
from blaze.plan import Begin, Commit, Execute, ExecuteMany, Plan, Release, RollbackTo, Savepoint
from blaze.query.query import Query
from blaze.utils.awaitables import is_awaitable
from tests.cache.models import Label, Page, Work, Writer

Script = Callable[["Actor"], Plan[None]]
READ = {Writer: ("name",), Label: ("name",), Work: ("name", "writer_id", "editor_id"), Page: ("name",)}
START = """
    BEGIN;
    DELETE FROM cached_page; DELETE FROM cached_work_labels; DELETE FROM cached_work;
    DELETE FROM cached_writer; DELETE FROM cached_label;
    INSERT INTO cached_writer VALUES (1, 'a'), (2, 'b');
    INSERT INTO cached_label VALUES (1, 'x'), (2, 'y');
    INSERT INTO cached_work (id, name, writer_id, editor_id) VALUES (1, 'w', 1, 2), (2, 'v', 2, NULL);
    INSERT INTO cached_page VALUES (1, 'p', 1);
    COMMIT;
"""


class Blocked(Exception):
    """The step has to wait for another session's lock."""


class Seen(NamedTuple):
    """One read: when it began and ended, and what it gave."""

    what: str
    model: Any
    key: Any
    first: int
    last: int
    value: Any


class Actor:
    """A session and the script it follows."""

    def __init__(self, world: World, session: Any, script: Script) -> None:
        self.world = world
        self.session = session
        self.plan = script(self)
        self.command: Any = None
        self.done = False

    async def perform(self, command: Any) -> Any:
        result = self.session._perform(command)
        return (await result) if is_awaitable(result) else result

    def resume(self, send: Callable[[Any], Any], value: Any) -> None:
        try:
            self.command = send(value)
        except StopIteration:
            self.done = True

    async def step(self) -> None:
        """Perform a step; raise `Blocked` and change nothing when a lock stands in its way."""
        await self.perform_next()
        while not self.done and self.is_hidden(self.command):
            await self.perform_next()
        self.world.end_step()

    def is_hidden(self, command: Any) -> bool:
        if isinstance(command, (Execute, ExecuteMany)):
            return command.writes and self.session.in_transaction
        return isinstance(command, (Savepoint, Release, RollbackTo))

    async def perform_next(self) -> None:
        command = self.command
        try:
            result = await self.perform(command)
        except DatabaseError as error:
            if error.retryable and isinstance(command, Begin):
                raise Blocked from error
            self.resume(self.plan.throw, error)
        else:
            if isinstance(command, Commit):
                self.world.now = self.world.committed()
            self.resume(self.plan.send, result)

    async def drive(self, plan: Plan[Any]) -> Any:
        """Run a plan to its end, before the interleaving begins."""
        send: Any = plan.send
        value: Any = None
        while True:
            try:
                command = send(value)
            except StopIteration as stop:
                return stop.value
            value = await self.perform(command)

    # --- what scripts are made of -------------------------------------------------------------------

    def read(self, model: Any, key: Any) -> Plan[Any]:
        """Read a row as if nothing was known of it, and note what it gave."""
        self.session.identity.clear()
        first = self.world.clock
        found = yield from objects.get_plan(self.session, model, key, {})
        self.saw(model, key, first, found)
        return found

    def read_related(self, instance: Any, name: str) -> Plan[Any]:
        """Load a to-one relation."""
        relation = type(instance).__mapper__.relations[name]
        first, key = self.world.clock, relation.key_of(instance)
        yield from objects.lazy_plan(self.session, instance, relation, True)
        found = relation.peek(instance)
        self.saw(relation.target.model, key, first, found)
        return found

    def load(self, model: Any, key: Any) -> Plan[Any]:
        """Return the object of a key."""
        return (yield from objects.get_plan(self.session, model, key, {}))

    def read_own(self, model: Any, key: Any) -> Plan[Any]:
        """Read a row of the own transaction."""
        self.session.identity.clear()
        return (yield from objects.get_plan(self.session, model, key, {}))

    def read_list(self, model: Any, key: Any, name: str) -> Plan[None]:
        """Load a many-to-many list of an object."""
        self.session.identity.clear()
        owner = yield from objects.get_plan(self.session, model, key, {})
        if owner is not None:
            first = self.world.clock
            yield from objects.load_plan(self.session, [owner], [name])
            keys = tuple(sorted(other.id for other in getattr(owner, name)))
            self.world.seen.append(Seen(name, name, key, first, self.world.clock, keys or None))

    def saw(self, model: Any, key: Any, first: int, found: Any) -> None:
        value = None if found is None else tuple(getattr(found, name) for name in READ[model])
        self.world.seen.append(Seen(repr(self.session), model, key, first, self.world.clock, value))

    def change(self, model: Any, key: Any, **values: Any) -> Plan[None]:
        """Change a row that the session has in memory, or loads."""
        found = yield from objects.get_plan(self.session, model, key, {})
        if found is not None:
            for name, value in values.items():
                setattr(found, name, value)

    def delete(self, model: Any, key: Any) -> Plan[None]:
        found = yield from objects.get_plan(self.session, model, key, {})
        if found is not None:
            self.session.register_delete(found)

    def commit(self) -> Plan[None]:
        yield from self.session.transactions.commit()

    def rollback(self) -> Plan[None]:
        yield from self.session.transactions.rollback()

    def flush(self) -> Plan[None]:
        yield from self.session.flush_plan()

    def query(self, model: Any) -> Any:
        mapper = self.session.mapper_of(model)
        return Query.start(self.session.root_of(mapper))


class World:
    """One run of a scenario: sessions on one database and one cache, and what was committed when."""

    def __init__(self, engine: Engine, path: str, asynchronous: bool, cache: Any) -> None:
        self.cache = cache
        self.engine = engine
        self.make: Any = AsyncSession if asynchronous else Session
        self.raw = sqlite3.connect(path, isolation_level=None)
        self.raw.execute("PRAGMA synchronous = off")
        self.raw.executescript(START)
        self.clock = 0
        self.seen: list[Seen] = []
        self.actors: list[Actor] = []
        self.now = self.committed()
        self.history = [self.now]  # by step

    def committed(self) -> dict[Any, Any]:
        """Return all committed rows, by model and key."""
        found = {
            (model, row[0]): row[1:]
            for model, names in READ.items()
            for row in self.raw.execute(f"SELECT id, {', '.join(names)} FROM {model.__mapper__.table.name}")
        }
        sql = """
            SELECT w.id, l.id FROM cached_work_labels m, cached_work w, cached_label l
            WHERE m.cached_work_id = w.id AND m.cached_label_id = l.id ORDER BY 1, 2
        """
        for side, pair in (("labels", (0, 1)), ("works", (1, 0))):
            for row in self.raw.execute(sql):
                key = (side, row[pair[0]])
                found[key] = (*found.get(key, ()), row[pair[1]])
        return found

    def end_step(self) -> None:
        self.clock += 1
        self.history.append(self.now)

    async def begin(self, scripts: Sequence[Script], warm: bool) -> None:
        """Make the actors; `warm` fills the cache before."""
        if warm:
            session = self.make(self.engine, cache_backend=self.cache)
            actor = Actor(self, session, nothing)
            for model, keys in ((Writer, (1, 2)), (Label, (1, 2)), (Work, (1, 2)), (Page, (1,))):
                for key in keys:
                    await actor.drive(objects.get_plan(session, model, key, {}))
            await self.close(session)
        self.actors = [
            Actor(self, self.make(self.engine, cache_backend=self.cache), script) for script in scripts
        ]
        for actor in self.actors:
            actor.resume(actor.plan.send, None)

    @staticmethod
    async def close(session: Any) -> None:
        result = session.close()
        if is_awaitable(result):
            await result

    async def end(self) -> None:
        for actor in self.actors:
            actor.plan.close()
            await self.close(actor.session)
        self.raw.close()

    def check(self) -> None:
        """No read gave a row that was not committed meanwhile, and the cache holds none."""
        for seen in self.seen:
            valid = [state.get((seen.model, seen.key)) for state in self.history[seen.first : seen.last + 1]]
            assert seen.value in valid, (seen, valid)
        now = self.history[-1]
        cached = rows_in(self.cache)
        for (table, key), row in cached.items():
            model = next(m for m in READ if m.__mapper__.table.name == table)
            expected = now.get((model, int(key)))
            assert expected is not None, f"the cache holds {table} {key}, which is gone"
            assert tuple(row[name] for name in READ[model]) == expected, f"stale: {table} {key}"


def nothing(actor: Actor) -> Plan[None]:
    yield from ()


def rows_in(cache: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the rows that a reader would find in a cache, by table and key.

    `cache` is a `MemoryCache`, or has a method `entries` that gives its values by key.
    """
    if isinstance(cache, MemoryCache):
        entries: dict[str, Any] = {name: item.value for name, item in cache._items.items()}
    else:
        entries = cache.entries()
    found = {}
    for name, value in entries.items():
        if not name.startswith("#"):
            _, database, table, key = name.split("|")
            token = entries.get(f"#{database}|{table}|")
            if token is not None and value["#"].startswith(f"{token}/"):
                found[table, key] = value
    return found


async def explore(
    make: Callable[[], World], scripts: Sequence[Script], warm: bool = True, most: Optional[int] = None
) -> int:
    """Run the scripts in every interleaving of their steps; return how many there are.

    `most` stops after so many runs, for scenarios whose interleavings are too many for every run.
    """
    path: list[list[Any]] = []  # the choices open at each step, and which one is taken
    runs = 0
    while most is None or runs < most:
        world = make()
        try:
            await world.begin(scripts, warm)
            try:
                await follow(world, path)
            except Blocked:
                pass  # the other choices of this step show how it goes on
            else:
                runs += 1
                world.check()
        except AssertionError as error:
            raise AssertionError(f"{error} in the order {[choices[at] for choices, at in path]}") from None
        finally:
            await world.end()
        while path and path[-1][1] + 1 == len(path[-1][0]):
            path.pop()
        if not path:
            break
        path[-1][1] += 1
    assert runs, "every order is blocked"
    return runs


async def follow(world: World, path: list[list[Any]]) -> None:
    """Run to the end: along the path, then always the first actor that can go on."""
    depth = 0
    while True:
        alive = [number for number, actor in enumerate(world.actors) if not actor.done]
        if not alive:
            return
        if depth == len(path):
            path.append([alive, 0])
        choices, at = path[depth]
        await world.actors[choices[at]].step()
        depth += 1


async def follow_choices(world: World, choices: Iterable[int]) -> None:
    """Run to the end in the order that numbers give, any actor that is not blocked where they have ended."""
    numbers: Any = iter(choices)
    while True:
        alive = [actor for actor in world.actors if not actor.done]
        if not alive:
            return
        start = next(numbers, 0)
        for offset in range(len(alive)):
            try:
                await alive[(start + offset) % len(alive)].step()
            except Blocked:
                continue
            break
        else:
            raise AssertionError("all sessions wait for each other")
