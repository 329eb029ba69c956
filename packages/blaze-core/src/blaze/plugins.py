"""Find, check and load plugins: installed distributions by entry point, and objects registered by hand.

Entry points are listed once and loaded one by one, when first needed; a broken one gives a PluginError that
names it and keeps neither another plugin nor ``import blaze`` from working. An installed set of hooks that
cannot be used is logged as an error and left out. Of two distributions that offer one name, the one named
after it is taken; the other is listed as broken and logged. pluggy and importlib.metadata are imported on
first use.
"""

from __future__ import annotations

import importlib
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Literal, NamedTuple, Optional

from blaze import hooks
from blaze.errors import ConfigurationError, PluginError
from blaze.hooks.handler import make_handler
from blaze.utils.naming import suggest

__all__ = ["GROUPS", "Group", "PluginInfo", "Registry", "backend", "load", "plugins", "register", "registry"]


class Group(NamedTuple):
    """What the plugins of one entry-point group must look like.

    `prefix` and the name of a plugin make the distribution that owns this name. `protocol_version` is the
    value that a plugin's attribute of that name must have; a plugin without the attribute speaks the present
    one, but for groups that are `versioned`.
    """

    what: str
    prefix: str
    attributes: tuple[str, ...] = ()
    is_callable: bool = False
    versioned: bool = False
    protocol_version: int = 1


GROUPS: Mapping[str, Group] = {
    "blaze.backends": Group(
        "a Backend", "blaze-", ("name", "adapter", "make_adapter", "make_async_adapter"), versioned=True
    ),
    "blaze.caches": Group("a function that makes a cache backend", "blaze-cache-", is_callable=True),
    "blaze.types": Group("a SQL type or a function that makes one", "blaze-types-"),
    "blaze.hooks": Group("an object with methods marked @hookimpl", "blaze-hooks-"),
    "blaze.cli": Group("a command function", "blaze-cli-", is_callable=True),
}

# Where to get the backends of this project; a third-party backend is found by its entry point and needs no
# line here.
_DISTRIBUTIONS = {
    "sqlite": "blaze-sqlite",
    "postgres": "blaze-postgres",
    "postgresql": "blaze-postgres",
    "mysql": "blaze-mysql",
    "mariadb": "blaze-mysql",
}


# What an entry point must say, by the packaging standard.
_REFERENCE = re.compile(r"\s*[\w.]+\s*(:\s*[\w.]+\s*)?(\[.*\]\s*)?$")


class PluginInfo(NamedTuple):
    """One known plugin; ``error`` says why a broken one cannot be used."""

    group: str
    name: str
    distribution: str
    version: str
    state: Literal["found", "loaded", "broken"]
    error: str = ""


class _Entry:
    """One plugin on its way from found to loaded or broken."""

    __slots__ = ("cause", "distribution", "error", "load", "plugin", "value", "version")

    def __init__(self, load: Callable[[], Any], value: str, distribution: str, version: str) -> None:
        self.load = load
        self.value = value
        self.distribution = distribution
        self.version = version
        self.plugin: Any = None
        self.error = ""
        self.cause: Optional[BaseException] = None

    @property
    def origin(self) -> str:
        return f"{self.distribution} {self.version}".strip() or "registered by hand"


def _entry_points(group: str) -> Iterable[Any]:
    """List the installed entry points of a group."""
    # Python 3.9 has no selection by group; the backport that blaze-core asks for there has.
    metadata: Any = importlib.import_module(
        "importlib.metadata" if sys.version_info >= (3, 10) else "importlib_metadata"
    )
    try:
        points: Iterable[Any] = metadata.entry_points(group=group)
    except ValueError:  # newer versions give none where a single one of any distribution is no reference
        points = [point for each in metadata.distributions() for point in _points_of(each, group)]
    return points


class _Point(NamedTuple):
    """An entry point as its distribution has written it."""

    name: str
    value: str
    group: str
    dist: Any

    def load(self) -> Any:
        """Import what it refers to."""
        module, _, attribute = self.value.partition(":")
        return attrgetter(attribute.strip())(importlib.import_module(module.strip()))


def _points_of(distribution: Any, group: str) -> list[_Point]:
    """Read the entry points of a distribution, whatever they refer to."""
    from configparser import ConfigParser, Error

    parser = ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(distribution.read_text("entry_points.txt") or "")
    except Error as error:
        _log().warning("the entry points of %s cannot be read: %s", distribution.metadata["Name"], error)
        return []
    found = parser.items(group) if parser.has_section(group) else ()
    return [_Point(name, value, group, distribution) for name, value in found]


class Registry:
    """Know the plugins of all groups; safe between threads.

    ``find`` lists the entry points of a group; ``on_change`` hears of the groups that change by hand.
    """

    def __init__(
        self,
        find: Callable[[str], Iterable[Any]] = _entry_points,
        on_change: Optional[Callable[[str], None]] = None,
    ) -> None:
        self._find = find
        self._on_change = on_change
        self._lock = threading.RLock()
        self._entries: dict[str, dict[str, _Entry]] = {}
        self._outdone: dict[str, list[tuple[str, _Entry]]] = {}  # those whose name belongs to another one
        self._registered: dict[str, dict[str, _Entry]] = {}

    def names(self, group: str) -> list[str]:
        """Give the names in a group, those registered by hand first, then sorted; loads nothing."""
        found = self._found(group)
        by_hand = self._registered.get(group, {})
        return [*by_hand, *sorted(name for name in found if name not in by_hand)]

    def register(self, group: str, name: str, plugin: Any) -> None:
        """Add a plugin that is not installed, or replace an installed one; raises PluginError when it does
        not fit.
        """
        spec = self._group(group)
        entry = _Entry(lambda: plugin, "", "", "")
        problem = _mismatch(plugin, spec)
        if problem:
            raise PluginError(f"the plugin {name!r} of {group} cannot be registered: {problem}")
        entry.plugin = plugin
        with self._lock:
            self._registered.setdefault(group, {})[name] = entry
        if self._on_change is not None:
            self._on_change(group)

    def unregister(self, group: str, name: str) -> None:
        """Take back a plugin that was registered by hand; does nothing when it was not."""
        with self._lock:
            self._registered.get(group, {}).pop(name, None)
        if self._on_change is not None:
            self._on_change(group)

    def load(self, group: str, name: str) -> Any:
        """Give a plugin, importing it on first use; PluginError when it is broken, ConfigurationError when
        unknown.
        """
        entry = self._entry(group, name)
        if entry is None:
            raise ConfigurationError(
                f"no plugin {name!r} of {group} is installed{suggest(name, self.names(group))}"
            )
        if entry.plugin is not None:
            return entry.plugin
        with self._lock:
            if entry.plugin is None and not entry.error:
                self._load(entry, self._group(group))
        if entry.error:
            raise self.unusable(group, name, entry.error) from entry.cause
        return entry.plugin

    def load_all(self, group: str) -> tuple[dict[str, Any], dict[str, PluginError]]:
        """Load a whole group; give the plugins by name, and the errors of those that are broken."""
        loaded: dict[str, Any] = {}
        errors: dict[str, PluginError] = {}
        for name in self.names(group):
            try:
                loaded[name] = self.load(group, name)
            except PluginError as error:
                errors[name] = error
        return loaded, errors

    def backend(self, scheme: str, missing_ok: bool = False) -> Any:
        """Give the ``blaze.adapters.Backend`` of a DSN scheme; an unknown one is None or a ConfigurationError
        with the cure.
        """
        if self._entry("blaze.backends", scheme) is not None:
            return self.load("blaze.backends", scheme)
        if missing_ok:
            return None
        distribution = _DISTRIBUTIONS.get(scheme)
        if distribution:
            raise ConfigurationError(
                f"the backend for {scheme}:// is not installed: pip install {distribution}"
            )
        raise ConfigurationError(
            f"no backend for {scheme}:// is installed{suggest(scheme, self.names('blaze.backends'))}"
        )

    def hook_manager(self, specifications: Any) -> tuple[Any, dict[str, PluginError]]:
        """Give a new pluggy manager with the given hook specifications and every plugin of ``blaze.hooks`` in
        it.

        pluggy checks names and arguments and orders the calls; what does not fit is left out and told by its
        name.
        """
        import pluggy

        manager = pluggy.PluginManager("blaze")
        manager.add_hookspecs(specifications)
        loaded, errors = self.load_all("blaze.hooks")
        for name, plugin in loaded.items():
            problem = ""
            cause: Optional[Exception] = None
            try:
                manager.register(plugin, name)
                manager.check_pending()
                problem = _unfit(manager, plugin)
            except (pluggy.PluginValidationError, ValueError, ConfigurationError) as error:
                problem, cause = f"does not fit: {error}", error
            except Exception as error:  # whatever its attributes do when they are looked at
                problem, cause = f"does not fit: {type(error).__name__}: {error}", error
            if problem and isinstance(plugin, type):  # its methods ask for `self`
                problem = f"is the class {plugin.__name__}; give an object of it"
            if problem:
                if manager.has_plugin(name):
                    manager.unregister(name=name)
                entry = self._entry("blaze.hooks", name)
                assert entry is not None
                entry.error = problem
                failure = PluginError(f"the plugin {name!r} of blaze.hooks ({entry.origin}) {problem}")
                failure.__cause__ = cause
                errors[name] = failure
        return manager, errors

    def unusable(self, group: str, name: str, problem: str) -> PluginError:
        """Make the error of a plugin that is broken; it names the plugin and where it comes from."""
        return PluginError(
            f"the plugin {name!r} of {group} ({self.origin(group, name)}) cannot be used: {problem};"
            " update or uninstall that distribution"
        )

    def origin(self, group: str, name: str) -> str:
        """Say where a plugin comes from: its distribution and version, or that it was registered by hand."""
        entry = self._entry(group, name)
        return "" if entry is None else entry.origin

    def is_installed(self, group: str, name: str) -> bool:
        """Whether a name means a plugin of an installed distribution, and none registered by hand."""
        return name not in self._registered.get(group, {})

    def plugins(self, load: bool = False) -> list[PluginInfo]:
        """List every plugin of every group; ``load`` loads each first, so that broken ones are seen."""
        infos: list[PluginInfo] = []
        for group in GROUPS:
            if load:
                self.load_all(group)
            for name in self.names(group):
                entry = self._entry(group, name)
                if entry is not None:
                    infos.append(_info(group, name, entry))
            infos += [_info(group, name, entry) for name, entry in self._outdone.get(group, ())]
        return infos

    def _entry(self, group: str, name: str) -> Optional[_Entry]:
        return self._registered.get(group, {}).get(name) or self._found(group).get(name)

    def _group(self, group: str) -> Group:
        try:
            return GROUPS[group]
        except KeyError:
            raise ConfigurationError(f"there is no plugin group {group!r}{suggest(group, GROUPS)}") from None

    def _found(self, group: str) -> dict[str, _Entry]:
        found = self._entries.get(group)
        if found is None:
            self._group(group)
            with self._lock:
                found = self._entries.get(group)
                if found is None:
                    found, outdone = _list_entries(group, self._find(group))
                    self._outdone[group] = outdone
                    self._entries[group] = found
        return found

    def _load(self, entry: _Entry, group: Group) -> None:
        if not _REFERENCE.match(entry.value):
            entry.error = f"its entry point {entry.value!r} is no module:attribute"
            return
        try:
            plugin = entry.load()
            problem = _mismatch(plugin, group)
        except (Exception, SystemExit) as error:  # whatever somebody's module does when it is used
            entry.cause = error
            entry.error = f"{type(error).__name__}: {error}"
            return
        if problem:
            entry.error = problem
        else:
            entry.plugin = plugin


def _list_entries(group: str, points: Iterable[Any]) -> tuple[dict[str, _Entry], list[tuple[str, _Entry]]]:
    """Give the plugins by name, and those whose name belongs to another distribution."""
    by_name: dict[str, list[_Entry]] = {}
    for point in points:
        distribution = getattr(point, "dist", None)
        entry = _Entry(
            point.load,
            point.value,
            "" if distribution is None else distribution.metadata["Name"],
            "" if distribution is None else distribution.version,
        )
        offers = by_name.setdefault(point.name, [])
        if all(other.value != entry.value for other in offers):
            offers.append(entry)
    found: dict[str, _Entry] = {}
    outdone: list[tuple[str, _Entry]] = []
    for name, offers in by_name.items():
        owner = _owner(group, name)
        best = found[name] = next((each for each in offers if _normal(each.distribution) == owner), offers[0])
        others = [each for each in offers if each is not best]
        if _normal(best.distribution) == owner:
            for other in others:
                other.error = f"the name belongs to {best.origin}, which is used instead"
                _log().warning("%s offers %r, too: %s", other.origin, name, other.error)
                outdone.append((name, other))
        elif others:
            best.error = f"{' and '.join(each.origin for each in offers)} both offer it"
    return found, outdone


def _owner(group: str, name: str) -> str:
    """Give the distribution that a name belongs to, whether or not it is installed."""
    known = _DISTRIBUTIONS.get(name) if group == "blaze.backends" else None
    return _normal(known or GROUPS[group].prefix + name)


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _log() -> Any:
    import logging

    return logging.getLogger("blaze.plugins")


def _mismatch(plugin: Any, group: Group) -> str:
    missing = [name for name in group.attributes if not hasattr(plugin, name)]
    if plugin is None or missing or (group.is_callable and not callable(plugin)):
        without = f" (it has no {', '.join(missing)})" if missing else ""
        return f"{type(plugin).__name__} is not {group.what}{without}"
    version = getattr(plugin, "protocol_version", None if group.versioned else group.protocol_version)
    if version != group.protocol_version:
        return f"it speaks protocol version {version}, this Blaze speaks {group.protocol_version}"
    return ""


def _unfit(manager: Any, plugin: Any) -> str:
    """Say what is wrong with the hooks of a plugin that pluggy has taken, `""` for nothing."""
    callers = manager.get_hookcallers(plugin)
    if not callers:
        return "has no method marked @hookimpl"
    for caller in callers:
        for found in caller.get_hookimpls():
            if found.plugin is not plugin:
                continue
            if found.hookwrapper or getattr(found, "wrapper", False):
                return f"wraps {caller.name}; Blaze calls plain hooks only"
            make_handler(caller.name, found.function)  # raises ConfigurationError
    return ""


def _info(group: str, name: str, entry: _Entry) -> PluginInfo:
    state: Literal["found", "loaded", "broken"] = "found"
    if entry.error:
        state = "broken"
    elif entry.plugin is not None:
        state = "loaded"
    return PluginInfo(group, name, entry.distribution, entry.version, state, entry.error)


def _hook_plugins(specifications: Any) -> Optional[Any]:
    """Give the manager of the hook plugins; None, without importing pluggy, when there is no plugin.

    An installed plugin that cannot be used is logged and left out; one registered by hand is a `PluginError`.
    """
    if not registry.names("blaze.hooks"):
        return None
    import pluggy

    mark: Any = pluggy.HookspecMarker("blaze")
    for event in specifications.EVENTS:
        mark(getattr(specifications, event))
    manager, errors = registry.hook_manager(specifications)
    for name, error in errors.items():
        if not registry.is_installed("blaze.hooks", name):
            raise error
        _log().error("%s; its hooks are left out", error, exc_info=error)
    return manager


def _changed(group: str) -> None:
    if group == "blaze.hooks":
        hooks.registry.plugins_changed()


registry = Registry(on_change=_changed)
hooks.registry.connect(_hook_plugins)
register = registry.register
load = registry.load
backend = registry.backend
plugins = registry.plugins


def __getattr__(name: str) -> Any:
    """Make pluggy's markers on first use: ``from blaze.plugins import hookimpl, hookspec``."""
    if name not in ("hookimpl", "hookspec"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import pluggy

    marker = pluggy.HookimplMarker if name == "hookimpl" else pluggy.HookspecMarker
    return globals().setdefault(name, marker("blaze"))
