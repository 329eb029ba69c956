"""`parallel_exec`: several tasks at the same time, each in a session of its own on a pool connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, cast

from blaze.errors import QueryError, SessionError
from blaze.persistence.retry import call_with_session
from blaze.query.dml import Returning
from blaze.query.query import Query
from blaze.query.terminal import Plan
from blaze.sql.raw import Raw
from blaze.utils.awaitables import is_awaitable

if TYPE_CHECKING:
    from blaze.persistence.base import SessionBase

MOST = 16  # tasks at the same time, however many connections there are


def checked(tasks: Any) -> list[Any]:
    """Return the tasks as a list; raise `QueryError` for what cannot be run."""
    if isinstance(tasks, (str, Query, Plan)) or not isinstance(tasks, Iterable):
        raise QueryError(f"parallel_exec() takes a list of tasks, not {tasks!r}")
    found = list(tasks)
    for task in found:
        runs = callable(task) and not hasattr(task, "__mapper__")
        if not runs and not isinstance(task, (Plan, Query, str, Raw, Returning)):
            raise QueryError(
                "parallel_exec() takes plans such as Select(Book).all(), statements or callables, "
                f"not {task!r}"
            )
    return found


def like(tasks: Any, results: Sequence[Any]) -> Any:
    """Return the results as a tuple for a tuple of tasks, as a list otherwise."""
    return tuple(results) if isinstance(tasks, tuple) else list(results)


def width(session: SessionBase, tasks: int) -> int:
    """Return how many tasks run at the same time: no more than there are connections for.

    Raises `SessionError` when this session holds the only connection of the pool, which none would get.
    """
    left = session.engine.max_connections - (session.connection is not None)
    if left < 1:
        raise SessionError(
            "parallel_exec() needs a connection beside the one that this session holds, and the pool has no "
            "other: commit() or rollback() first, or raise pool_size"
        )
    return min(tasks, left, MOST)


def observed_by(session: SessionBase, own: Any) -> None:
    """Let the hooks, statistics and logs of a session hear of what a session of its own executes."""
    own.hooks, own.log = session.hooks, session.log
    own.tracker.also = session.tracker


def run_parallel(session: SessionBase, tasks: Any) -> Any:
    """Run tasks in threads; an error keeps others from starting and is raised when the running have ended."""
    from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

    session.check_usable()
    wanted = checked(tasks)
    if not wanted:
        return like(tasks, [])
    kind = cast(Any, type(session))
    backend = None if session.cache is None else session.cache.backend

    def one(task: Any) -> Any:
        with kind(session.engine, cache_backend=backend) as own:
            observed_by(session, own)
            if isinstance(task, Plan):
                result = own.run_query(task.query, task.mode, *task.arguments)
            elif callable(task):
                result = call_with_session(task, own)
            else:
                result = own.exec(task).all()
            if own.in_transaction or own.work.pending:
                own.commit()
            return result

    with ThreadPoolExecutor(width(session, len(wanted)), thread_name_prefix="blaze") as pool:
        running = [pool.submit(copy_context().run, one, task) for task in wanted]
        try:
            ended = wait(running, return_when=FIRST_EXCEPTION).done
            for each in running:
                if each in ended:
                    each.result()  # raises its error
            return like(tasks, [each.result() for each in running])
        finally:
            for each in running:
                each.cancel()


async def run_parallel_async(session: SessionBase, tasks: Any) -> Any:
    """Run tasks as asyncio tasks; an error cancels the others and is raised."""
    import asyncio

    session.check_usable()
    wanted = checked(tasks)
    kind = cast(Any, type(session))
    backend = None if session.cache is None else session.cache.backend

    async def one(task: Any) -> Any:
        async with kind(session.engine, cache_backend=backend) as own:
            observed_by(session, own)
            if isinstance(task, Plan):
                result = await own.run_query(task.query, task.mode, *task.arguments)
            elif callable(task):
                result = call_with_session(task, own)
                if is_awaitable(result):
                    result = await result
            else:
                result = await own.exec(task).all()
            if own.in_transaction or own.work.pending:
                await own.commit()
            return result

    async def in_turn(task: Any) -> Any:
        async with turn:
            return await one(task)

    if not wanted:
        return like(tasks, [])
    turn = asyncio.Semaphore(width(session, len(wanted)))
    running = [asyncio.ensure_future(in_turn(task)) for task in wanted]
    try:
        return like(tasks, await asyncio.gather(*running))
    except BaseException:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        raise
