"""Plugins are found by entry point, loaded one by one, and a broken one harms nobody else."""

from __future__ import annotations

from typing import Any, Callable, Optional

import pluggy
import pytest

from blaze.errors import ConfigurationError, PluginError
from blaze.plugins import Registry, plugins, registry


class Distribution:
    def __init__(self, name: str) -> None:
        self.metadata = {"Name": name}
        self.version = "1.0"


class Point:
    def __init__(
        self, name: str, load: Callable[[], Any], value: str = "", dist: str = "blaze-thing"
    ) -> None:
        self.name = name
        self.load = load
        self.value = value or f"{name}:x"
        self.dist = Distribution(dist)


class Backend:
    name = "good"
    adapter = make_adapter = make_async_adapter = None
    protocol_version: Optional[int] = 1


class Old(Backend):
    protocol_version = 0


class Unset:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("not configured")


def broken() -> Any:
    raise ImportError("No module named 'libfoo'")


def leaving() -> Any:
    raise SystemExit("not here")


def make(*points: Point, group: str = "blaze.backends") -> Registry:
    return Registry(lambda asked: points if asked == group else ())


def test_a_good_plugin_is_loaded_when_first_needed() -> None:
    loads: list[int] = []

    def load() -> Any:
        loads.append(1)
        return Backend()

    plugins = make(Point("good", load), Point("bad", broken))
    assert plugins.names("blaze.backends") == ["bad", "good"]
    assert not loads
    assert plugins.backend("good") is plugins.backend("good")
    assert loads == [1]


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (broken, "ImportError: No module named 'libfoo'"),
        (leaving, "SystemExit"),
        (lambda: object(), "object is not a Backend .it has no name"),
        (lambda: None, "NoneType is not a Backend"),
        (lambda: Unset(), "RuntimeError: not configured"),
        (Old, "it speaks protocol version 0, this Blaze speaks 1"),
    ],
)
def test_a_broken_plugin_is_named_with_its_distribution_and_breaks_no_other(
    load: Callable[[], Any], message: str
) -> None:
    registry = make(Point("bad", load), Point("good", Backend))
    for _ in range(2):
        with pytest.raises(
            PluginError, match=f"'bad' of blaze.backends .blaze-thing 1.0. cannot be used: {message}"
        ):
            registry.backend("bad")
    assert registry.backend("good").name == "good"
    loaded, errors = registry.load_all("blaze.backends")
    assert list(loaded) == ["good"]
    assert len(errors) == 1
    states = {info.name: info.state for info in registry.plugins()}
    assert states == {"bad": "broken", "good": "loaded"}


def test_two_distributions_that_offer_one_name_are_both_named() -> None:
    points = (
        Point("x", Backend, "a:b", "one"),
        Point("x", Backend, "c:d", "two"),
        Point("y", Backend, "e:f"),
    )
    with pytest.raises(PluginError, match=r"one 1\.0 and two 1\.0 both offer it"):
        make(*points).backend("x")
    same = (Point("x", Backend, "a:b", "one"), Point("x", Backend, "a:b", "one"))
    assert make(*same).backend("x").name == "good"


@pytest.mark.parametrize(
    ("group", "name", "owner"),
    [
        ("blaze.backends", "good", "blaze-good"),
        ("blaze.backends", "postgresql", "Blaze_Postgres"),
        ("blaze.caches", "redis", "blaze-cache-redis"),
        ("blaze.hooks", "otel", "blaze-hooks-otel"),
    ],
)
def test_the_distribution_that_owns_a_name_gets_it(group: str, name: str, owner: str) -> None:
    class Plugin(Backend):
        def __call__(self) -> None: ...

    points = [Point(name, broken, "a:b", "aa"), Point(name, Plugin, "c:d", owner), Point(name, broken, "e:f")]
    for order in (points, points[::-1]):
        registry = make(*order, group=group)
        assert isinstance(registry.load(group, name), Plugin)
        states = {(info.distribution, info.state, info.error) for info in registry.plugins()}
        belongs = f"the name belongs to {owner} 1.0, which is used instead"
        assert states == {
            (owner, "loaded", ""), ("aa", "broken", belongs), ("blaze-thing", "broken", belongs)
        }  # fmt: skip


def test_a_missing_backend_says_what_to_install() -> None:
    empty = make()
    with pytest.raises(ConfigurationError, match="pip install blaze-postgres"):
        empty.backend("postgresql")
    with pytest.raises(ConfigurationError, match="no backend for postgers:// is installed"):
        empty.backend("postgers")
    assert empty.backend("x", missing_ok=True) is None
    with pytest.raises(ConfigurationError, match=r"did you mean 'blaze\.caches'"):
        empty.names("blaze.cache")


def test_plugins_can_be_registered_by_hand() -> None:
    registry = make(Point("good", broken))
    mine = Backend()
    registry.register("blaze.backends", "good", mine)
    assert registry.backend("good") is mine
    registry.unregister("blaze.backends", "good")
    with pytest.raises(PluginError):
        registry.backend("good")
    with pytest.raises(PluginError, match="cannot be registered"):
        registry.register("blaze.caches", "x", 3)


@pytest.mark.requirement("R90")
def test_hooks_are_checked_and_ordered_by_pluggy() -> None:
    from blaze.plugins import hookimpl, hookspec

    class Specification:
        @hookspec
        def before_save(self, session: Any, instance: Any) -> None: ...

    class First:
        @hookimpl(tryfirst=True)
        def before_save(self, instance: Any) -> str:
            return "first"

    class Second:
        @hookimpl
        def before_save(self, session: Any) -> str:
            return "second"

    class WrongArgument:
        @hookimpl
        def before_save(self, colour: Any) -> None: ...

    class WrongName:
        @hookimpl
        def befor_save(self) -> None: ...

    registry = make(
        Point("a", WrongArgument),
        Point("b", WrongName),
        Point("c", Second),
        Point("d", First),
        Point("e", broken),
        group="blaze.hooks",
    )
    manager, errors = registry.hook_manager(Specification)
    assert isinstance(manager, pluggy.PluginManager)
    assert manager.hook.before_save(session=None, instance=None) == ["first", "second"]
    assert sorted(errors) == ["a", "b", "e"]


def test_the_installed_backend_is_listed() -> None:
    assert registry.backend("sqlite").name == "sqlite"
    assert ("blaze.backends", "sqlite", "blaze-sqlite") in {info[:3] for info in plugins()}
