"""`parallel_exec`: several tasks at the same time, each in a session of its own on a pool connection."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, cast

from blaze.errors import QueryError
from blaze.persistence.retry import call_with_session
from blaze.query.query import Query
from blaze.query.terminal import Plan
from blaze.utils.awaitables import is_awaitable

if TYPE_CHECKING:
    from blaze.persistence.base import SessionBase

MOST_THREADS = 16


def checked(tasks: Any) -> list[Any]:
    """Return the tasks as a list; raise `QueryError` for what cannot be run."""
    found = list(tasks)
    for task in found:
        if not isinstance(task, (Plan, Query, str)) and not callable(task) and not hasattr(task, "mapper"):
            raise QueryError(
                "parallel_exec() takes plans such as Select(Book).all(), statements or callables, "
                f"not {task!r}"
            )
    return found


def like(tasks: Any, results: Sequence[Any]) -> Any:
    """Return the results as a tuple for a tuple of tasks, as a list otherwise."""
    return tuple(results) if isinstance(tasks, tuple) else list(results)


def run_parallel(session: SessionBase, tasks: Any) -> Any:
    """Run tasks in threads; the first error is raised when all have ended."""
    from concurrent.futures import ThreadPoolExecutor

    session.check_usable()
    wanted = checked(tasks)
    if not wanted:
        return like(tasks, [])
    kind = cast(Any, type(session))

    def one(task: Any) -> Any:
        with kind(session.engine) as own:
            if isinstance(task, Plan):
                result = own.run_query(task.query, task.mode, *task.arguments)
            elif callable(task):
                result = call_with_session(task, own)
            else:
                result = own.exec(task).all()
            if own.in_transaction or own.work.pending:
                own.commit()
            return result

    with ThreadPoolExecutor(min(len(wanted), MOST_THREADS), thread_name_prefix="blaze") as pool:
        waiting = [pool.submit(copy_context().run, one, task) for task in wanted]
        return like(tasks, [each.result() for each in waiting])


async def run_parallel_async(session: SessionBase, tasks: Any) -> Any:
    """Run tasks as asyncio tasks; an error cancels the others and is raised."""
    import asyncio

    session.check_usable()
    wanted = checked(tasks)
    kind = cast(Any, type(session))

    async def one(task: Any) -> Any:
        async with kind(session.engine) as own:
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

    running = [asyncio.ensure_future(one(task)) for task in wanted]
    try:
        return like(tasks, await asyncio.gather(*running))
    except BaseException:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        raise
