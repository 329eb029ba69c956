"""Plans: generators that yield database commands and receive their results.

Whatever needs the database is written once as a generator. A synchronous session drives it with `run`, an
asynchronous one with `arun`; a plan itself does no I/O, so it is tested without a database.

Rules for authors of plans: never `yield` inside `finally`; an error or a cancellation is thrown in at the
`yield`; clean-up that needs the database is a plan of its own, which the driver runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Iterable, Sequence
from typing import Any, Callable, Optional, TypeVar

from blaze.errors import ConfigurationError
from blaze.utils.awaitables import is_awaitable

T = TypeVar("T")

Rows = Iterable[Sequence[Any]]
Plan = Generator["Command", Any, T]


class Command:
    """One request to a connection."""

    __slots__ = ()

    writes = False
    counted = False  # whether statistics count it: statements are, transaction control is not
    sql = ""
    params: Any = ()

    def apply(self, connection: Any) -> Any:
        """Send the command; an asynchronous connection returns an awaitable of the same result."""
        raise TypeError(f"{type(self).__name__} cannot be sent to a connection")


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
    """Set a savepoint."""

    __slots__ = ("name", "sql")

    def __init__(self, name: str) -> None:
        self.name = name
        self.sql = f"SAVEPOINT {name}"

    def apply(self, connection: Any) -> Any:
        return connection.savepoint(self.name)


class RollbackTo(Command):
    """Roll back to a savepoint."""

    __slots__ = ("name", "sql")

    def __init__(self, name: str) -> None:
        self.name = name
        self.sql = f"ROLLBACK TO SAVEPOINT {name}"

    def apply(self, connection: Any) -> Any:
        return connection.rollback_to(self.name)


class Release(Command):
    """Release a savepoint."""

    __slots__ = ("name", "sql")

    def __init__(self, name: str) -> None:
        self.name = name
        self.sql = f"RELEASE SAVEPOINT {name}"

    def apply(self, connection: Any) -> Any:
        return connection.release(self.name)


class Call(Command):
    """Wait for an awaitable, such as the coroutine of an `async def` hook; needs no connection.

    `apply` returns it for an asynchronous driver to await; a synchronous one calls `refuse()`.
    """

    __slots__ = ("awaitable",)

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.awaitable = awaitable

    def apply(self, connection: Any) -> Awaitable[Any]:
        return self.awaitable

    def refuse(self) -> None:
        """Close the awaitable and raise ConfigurationError: nothing can await it here."""
        _close(self.awaitable)
        raise ConfigurationError(
            "a hook of a synchronous session returned something to await: use AsyncSession,"
            " or a plain function"
        )


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
        _close(awaitable)
        raise


def _close(awaitable: Any) -> None:
    """Close a coroutine that nobody is going to await, so that Python does not warn about it."""
    close = getattr(awaitable, "close", None)
    if close is not None:
        close()


def run(plan: Plan[T], perform: Callable[[Command], Any]) -> T:
    """Drive a plan with a blocking `perform`; return what the plan returns."""
    send = plan.send
    try:
        command = send(None)
        while True:
            try:
                result = perform(command)
            except BaseException as error:
                command = plan.throw(error)
            else:
                command = send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    except BaseException as error:
        if getattr(plan, "gi_frame", None) is None:  # it has ended
            raise
        # An interrupt hit the driver between two commands: the plan has still to clean up.
        return run(_failing(plan, error), perform)


def _failing(plan: Plan[T], error: BaseException) -> Plan[T]:
    """Go on with a plan that waits at a `yield`, with an error thrown in there."""
    try:
        command = plan.throw(error)
        while True:
            try:
                result = yield command
            except BaseException as failure:
                command = plan.throw(failure)
            else:
                command = plan.send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def arun(plan: Plan[T], perform: Callable[[Command], Awaitable[Any]]) -> T:
    """Drive a plan with an awaited `perform`; return what the plan returns."""
    send = plan.send
    try:
        command = send(None)
        while True:
            try:
                result = await perform(command)
            except BaseException as error:
                command = plan.throw(error)
            else:
                command = send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    except BaseException as error:
        if getattr(plan, "gi_frame", None) is None:  # it has ended
            raise
        # An interrupt hit the driver between two commands: the plan has still to clean up.
        return await arun(_failing(plan, error), perform)
