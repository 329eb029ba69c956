"""Plans: generators that yield database commands and receive their results.

Whatever needs the database is written once as a generator. A synchronous session drives it with `run`, an
asynchronous one with `arun`; a plan itself does no I/O, so it is tested without a database.

Rules for authors of plans: never `yield` inside `finally`; an error or a cancellation is thrown in at the
`yield`; clean-up that needs the database is a plan of its own, which the driver runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from blaze.utils.awaitables import close_awaitable, is_awaitable, refuse_awaitable

if TYPE_CHECKING:
    from blaze.dialects.batches import CopyTarget

T = TypeVar("T")

Rows = Iterable[Sequence[Any]]
Plan = Generator["Command", Any, T]


class Command:
    """One request to a connection."""

    __slots__ = ()

    writes = False
    counted = False  # whether statistics count it: statements are, transaction control is not
    alone = False  # whether it is a transaction by itself
    connected = True  # whether it goes to the connection; the others need none
    sql = ""
    params: Any = ()

    def apply(self, connection: Any) -> Any:
        """Send the command; an asynchronous connection returns an awaitable of the same result."""
        raise TypeError(f"{type(self).__name__} cannot be sent to a connection")

    def answer(self) -> Any:
        """Answer a command that needs no connection, for a synchronous driver."""
        return self.apply(None)


class Execute(Command):
    """One statement with one set of driver-ready parameters.

    `consume` receives the row iterator inside the adapter's error translation and its return value is the
    result; without it the result is an `Outcome`. `writes` makes the session open a transaction first.
    """

    __slots__ = ("consume", "params", "sql", "writes")

    counted = True

    def __init__(
        self,
        sql: str,
        params: Sequence[Any] = (),
        consume: Optional[Callable[[Any], Any]] = None,
        writes: bool = False,
    ) -> None:
        self.sql = sql
        self.params = params
        self.consume = consume
        self.writes = writes

    def apply(self, connection: Any) -> Any:
        return connection.execute(self.sql, self.params, self.consume)

    @property
    def first_params(self) -> Any:
        """One set of parameters, for logs and samples."""
        return self.params


class ExecuteMany(Command):
    """One writing statement with many sets of parameters; the result is the total row count."""

    __slots__ = ("params", "sql")

    writes = True
    counted = True

    def __init__(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        self.sql = sql
        self.params = rows

    def apply(self, connection: Any) -> Any:
        return connection.execute_many(self.sql, self.params)

    @property
    def first_params(self) -> Any:
        """One set of parameters, for logs and samples."""
        return self.params[0] if self.params else ()


class Copy(Command):
    """Load many rows in bulk; the result is their number, or -1 where this table takes no bulk load.

    Only connections of dialects with the feature `copy` get it.
    """

    __slots__ = ("params", "sql", "target")

    writes = True
    counted = True

    def __init__(self, target: CopyTarget, rows: Sequence[Sequence[Any]]) -> None:
        self.target = target
        self.sql = target.sql
        self.params = rows

    def apply(self, connection: Any) -> Any:
        return connection.copy(self.target, self.params)

    @property
    def first_params(self) -> Any:
        """One set of parameters, for logs and samples."""
        return self.params[0] if self.params else ()


class Begin(Command):
    """Open a transaction."""

    __slots__ = ("isolation", "read_only")

    sql = "BEGIN"

    def __init__(self, isolation: Optional[str] = None, read_only: bool = False) -> None:
        self.isolation = isolation
        self.read_only = read_only

    def apply(self, connection: Any) -> Any:
        return connection.begin(self.isolation, self.read_only)


class Commit(Command):
    """Commit the open transaction."""

    __slots__ = ()

    sql = "COMMIT"

    def apply(self, connection: Any) -> Any:
        return connection.commit()


class Rollback(Command):
    """Roll the open transaction back."""

    __slots__ = ()

    sql = "ROLLBACK"

    def apply(self, connection: Any) -> Any:
        return connection.rollback()


class Savepoint(Command):
    """Set a savepoint.

    `joined` says that a statement of Blaze's own making follows, so that both may be sent together; only
    connections of dialects with the feature `joined_savepoints` are told.
    """

    __slots__ = ("joined", "name", "sql")

    def __init__(self, name: str, joined: bool = False) -> None:
        self.name = name
        self.joined = joined
        self.sql = f"SAVEPOINT {name}"

    def apply(self, connection: Any) -> Any:
        return connection.savepoint(self.name, True) if self.joined else connection.savepoint(self.name)


class RollbackTo(Command):
    """Roll back to a savepoint."""

    __slots__ = ("name", "sql")

    def __init__(self, name: str) -> None:
        self.name = name
        self.sql = f"ROLLBACK TO SAVEPOINT {name}"

    def apply(self, connection: Any) -> Any:
        return connection.rollback_to(self.name)


class Release(Command):
    """Release a savepoint; `joined`, see `Savepoint`, lets it wait for the next command."""

    __slots__ = ("joined", "name", "sql")

    def __init__(self, name: str, joined: bool = False) -> None:
        self.name = name
        self.joined = joined
        self.sql = f"RELEASE SAVEPOINT {name}"

    def apply(self, connection: Any) -> Any:
        return connection.release(self.name, True) if self.joined else connection.release(self.name)


class Call(Command):
    """Wait for an awaitable, such as the coroutine of an `async def` hook; needs no connection.

    `apply` returns it for an asynchronous driver to await; a synchronous one is refused.
    """

    __slots__ = ("awaitable",)

    connected = False

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.awaitable = awaitable

    def apply(self, connection: Any) -> Awaitable[Any]:
        return self.awaitable

    def answer(self) -> Any:
        """Close the awaitable and raise ConfigurationError: nothing can await it here."""
        refuse_awaitable(self.awaitable)


class CacheCommand(Command):
    """One call of a cache backend; an asynchronous backend returns an awaitable of the same result."""

    __slots__ = ("backend",)

    connected = False


class CacheGet(CacheCommand):
    """Look keys up; the result is the backend's `Hits`."""

    __slots__ = ("keys",)

    def __init__(self, backend: Any, keys: Sequence[str]) -> None:
        self.backend = backend
        self.keys = keys

    def apply(self, connection: Any) -> Any:
        return self.backend.get_many(self.keys)


class CacheSet(CacheCommand):
    """Store values that were read after `mark`."""

    __slots__ = ("mark", "ttl", "values")

    def __init__(self, backend: Any, values: Mapping[str, Any], ttl: Optional[float], mark: Any) -> None:
        self.backend = backend
        self.values = values
        self.ttl = ttl
        self.mark = mark

    def apply(self, connection: Any) -> Any:
        return self.backend.set_many(self.values, self.ttl, self.mark)


class CacheDelete(CacheCommand):
    """Drop keys: before a commit with a `hold` in seconds, after it by the same holder without."""

    __slots__ = ("hold", "holder", "keys")

    def __init__(self, backend: Any, keys: Sequence[str], hold: float = 0.0, holder: str = "") -> None:
        self.backend = backend
        self.keys = keys
        self.hold = hold
        self.holder = holder

    def apply(self, connection: Any) -> Any:
        return self.backend.delete_many(self.keys, self.hold, self.holder)


class CacheClear(CacheCommand):
    """Drop everything."""

    __slots__ = ()

    def __init__(self, backend: Any) -> None:
        self.backend = backend

    def apply(self, connection: Any) -> Any:
        return self.backend.clear()


def fire(handlers: Iterable[Callable[..., Any]], **arguments: Any) -> Plan[None]:
    """Call handlers of hooks in order, with all arguments of their event; the first error stops.

    Callers test the tuple first: `if found.before_save: yield from fire(found.before_save, ...)`.
    """
    for handler in handlers:
        result = handler(**arguments)
        if result is not None and is_awaitable(result):
            yield from _wait(result)


def fire_each(
    handlers: Iterable[Callable[..., Any]], instances: Iterable[Any], **arguments: Any
) -> Plan[None]:
    """Call all handlers for each instance in turn, with `instance` and the other arguments of their event."""
    for instance in instances:
        for handler in handlers:
            result = handler(instance=instance, **arguments)
            if result is not None and is_awaitable(result):
                yield from _wait(result)


def fire_all(handlers: Iterable[Callable[..., Any]], **arguments: Any) -> Plan[None]:
    """Call every handler, whatever others raise, then raise the first error; further ones are logged.

    For `after_commit` and `after_rollback`, which tell what can no longer be stopped. Cancellation stops at
    once.
    """
    first: Optional[Exception] = None
    for handler in handlers:
        try:
            result = handler(**arguments)
            if result is not None and is_awaitable(result):
                yield from _wait(result)
        except Exception as error:
            if first is None:
                first = error
            else:
                import logging

                logging.getLogger("blaze.hooks").exception("a further hook failed; the first error is raised")
    if first is not None:
        raise first


def _wait(awaitable: Awaitable[Any]) -> Plan[None]:
    try:
        yield Call(awaitable)
    except BaseException:
        close_awaitable(awaitable)
        raise


def run(plan: Plan[T], perform: Callable[[Command], Any]) -> T:
    """Drive a plan with a blocking `perform`; return what the plan returns.

    Whatever is raised while the plan waits, by `perform` or by an interrupt between two commands, is thrown
    into it, so that it can clean up.
    """
    resume: Any = plan.send
    value: Any = None
    while True:
        try:
            command = resume(value)
            send = plan.send
            while True:
                command = send(perform(command))
        except BaseException as error:
            value = None  # an error kept in its own traceback would keep all that is in there
            if getattr(plan, "gi_frame", None) is None:  # it has ended
                if error.__class__ is StopIteration:
                    return error.value  # type: ignore[no-any-return]
                raise
            resume, value = plan.throw, error


async def arun(plan: Plan[T], perform: Callable[[Command], Awaitable[Any]]) -> T:
    """Drive a plan with an awaited `perform`; see `run`."""
    resume: Any = plan.send
    value: Any = None
    while True:
        try:
            command = resume(value)
            send = plan.send
            while True:
                command = send(await perform(command))
        except BaseException as error:
            value = None
            if getattr(plan, "gi_frame", None) is None:
                if error.__class__ is StopIteration:
                    return error.value  # type: ignore[no-any-return]
                raise
            resume, value = plan.throw, error
