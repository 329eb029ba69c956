"""Calling handlers: directly, and from plans in both kinds of drivers."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from blaze import hooks
from blaze.errors import ConfigurationError
from blaze.plan import Call, Command, Plan, arun, fire, fire_all, fire_each, run


def perform(command: Command) -> Any:
    assert isinstance(command, Call)
    command.answer()


async def aperform(command: Command) -> Any:
    return await command.apply(None)


def boom(**given: Any) -> None:
    raise ValueError("boom")


@pytest.mark.requirement("R90", "R28")
def test_a_plan_fires_in_order() -> None:
    seen: list[Any] = []
    run(
        fire((lambda session: seen.append(session), lambda session: seen.append(-session)), session=1),
        perform,
    )
    run(fire_each((lambda instance, session: seen.append(instance),), "ab", session=1), perform)
    assert seen == [1, -1, "a", "b"]


@pytest.mark.requirement("R90")
async def test_an_async_driver_awaits_async_handlers() -> None:
    seen: list[Any] = []

    async def handler(instance: Any) -> None:
        await asyncio.sleep(0)
        seen.append(instance)

    registry = hooks.HookRegistry()
    registry.register("before_delete", handler)
    registry.register("before_delete", lambda instance: seen.append("sync"))
    registry.register("before_delete", lambda instance: handler("from a lambda"))
    found = registry.table(is_async=True).for_model(int).before_delete
    await arun(fire(found, session=None, instance=1), aperform)
    await arun(fire_each(found, [2], session=None), aperform)
    await arun(fire_all(found, session=None, instance=3), aperform)
    await hooks.acall(found, session=None, instance=4)
    expected: list[Any] = []
    for instance in (1, 2, 3, 4):
        expected += [instance, "sync", "from a lambda"]
    assert seen == expected


def test_a_sync_driver_refuses_what_must_be_awaited() -> None:
    async def handler() -> None: ...

    with pytest.raises(ConfigurationError, match="returned something to await"):
        run(fire((lambda: handler(),)), perform)


def test_an_error_stops_the_plan() -> None:
    seen: list[int] = []

    def plan() -> Plan[None]:
        yield from fire((boom, lambda: seen.append(1)))
        seen.append(2)

    with pytest.raises(ValueError, match="boom"):
        run(plan(), perform)
    assert not seen


async def test_a_driver_that_fails_leaves_no_coroutine_behind() -> None:
    async def handler() -> None: ...

    async def broken(command: Command) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await arun(fire((handler,)), broken)


def test_fire_all_calls_every_handler_and_raises_the_first_error(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[int] = []

    def worse(**given: Any) -> None:
        raise KeyError("worse")

    with caplog.at_level(logging.ERROR, "blaze.hooks"), pytest.raises(ValueError, match="boom"):
        run(fire_all((boom, worse, lambda session: seen.append(session)), session=1), perform)
    assert seen == [1]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [KeyError]


async def test_fire_all_stops_at_cancellation() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    seen: list[int] = []
    with pytest.raises(asyncio.CancelledError):
        await arun(fire_all((cancelled, lambda: seen.append(1))), aperform)
    assert not seen
