"""Installed hooks: found through the entry points, checked and ordered by pluggy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from blaze import hooks, plugins
from blaze.errors import PluginError
from blaze.hooks import hookimpl

seen: list[str] = []


class Audit:
    @hookimpl
    def before_commit(self, session: Any) -> None:
        seen.append("audit")

    @hookimpl
    def after_execute(self, rows: int, duration: float) -> None:
        seen.append(f"{rows} rows")

    def after_commit(self) -> None:
        """Not marked, so never called."""
        seen.append("unmarked")


class Eager:
    @hookimpl(tryfirst=True)
    def before_commit(self) -> None:
        seen.append("eager")


class Late:
    @hookimpl(trylast=True)
    def before_commit(self) -> None:
        seen.append("late")


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    seen.clear()
    yield
    for name in ("audit", "eager", "late", "bad"):
        plugins.registry.unregister("blaze.hooks", name)


@pytest.mark.requirement("R90")
def test_plugins_are_called_after_registered_handlers() -> None:
    plugins.register("blaze.hooks", "late", Late())
    plugins.register("blaze.hooks", "eager", Eager())
    plugins.register("blaze.hooks", "audit", Audit())

    class Given:
        def before_commit(self) -> None:
            seen.append("session")

    handle = hooks.register("before_commit", lambda: seen.append("registered"))
    try:
        table = hooks.registry.table([Given()])
    finally:
        handle.remove()
    hooks.call(table.before_commit, session=None)
    assert seen == ["eager", "registered", "audit", "session", "late"]
    assert not table.after_commit
    given: dict[str, Any] = {"session": None, "statement": "", "params": (), "error": None}
    hooks.call(table.after_execute, duration=0.1, rows=2, **given)
    assert seen[-1] == "2 rows"


def test_a_plugin_that_comes_later_is_for_later_sessions() -> None:
    before = hooks.registry.table()
    plugins.register("blaze.hooks", "audit", Audit())
    assert not before.before_commit
    assert hooks.registry.table().before_commit
    plugins.registry.unregister("blaze.hooks", "audit")
    assert not hooks.registry.table().before_commit


class UnknownEvent:
    @hookimpl
    def before_comit(self) -> None: ...


class UnknownArgument:
    @hookimpl
    def before_commit(self, sesion: Any) -> None: ...


class Unmarked:
    def before_commit(self) -> None: ...


class Wrapper:
    @staticmethod
    def mark() -> Any:
        import pluggy

        class Wrapping:
            @pluggy.HookimplMarker("blaze")(wrapper=True)
            def before_commit(self) -> Iterator[None]:
                yield

        return Wrapping()


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        (UnknownEvent(), "'bad' of blaze.hooks .registered by hand. does not fit: .*before_comit"),
        (UnknownArgument(), "'bad' of blaze.hooks .registered by hand. does not fit: (.|\n)*sesion"),
        (Unmarked(), "'bad' of blaze.hooks .* has no method marked @hookimpl"),
        (Wrapper.mark(), "'bad' of blaze.hooks .* wraps before_commit"),
    ],
)
def test_a_plugin_that_does_not_fit_is_named(plugin: Any, message: str) -> None:
    plugins.register("blaze.hooks", "bad", plugin)
    with pytest.raises(PluginError, match=message):
        hooks.registry.table()


def test_pluggy_is_not_loaded_without_a_plugin() -> None:
    script = (
        "import sys; from blaze import hooks, plugins; plugins.registry._entries['blaze.hooks'] = {};"
        " hooks.registry.table(); sys.exit('pluggy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
