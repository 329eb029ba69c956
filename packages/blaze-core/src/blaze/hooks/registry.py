"""Where handlers are registered, and where sessions get their frozen tables from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, Optional

from blaze.errors import BlazeError, ConfigurationError, PluginError
from blaze.hooks import spec
from blaze.hooks.handler import PLUGIN, Call, Handler, make_handler, marked_priority, object_handlers
from blaze.hooks.table import HookTable

# Given the module of specifications, a pluggy manager that holds the plugins; None when there is none.
PluginSource = Callable[[ModuleType], Optional[Any]]


class HookHandle:
    """The right to take a registered handler away again."""

    __slots__ = ("_handler", "_registry")

    def __init__(self, registry: HookRegistry, handler: Handler) -> None:
        self._registry = registry
        self._handler = handler

    def remove(self) -> None:
        """Take the handler away from sessions made from now on; removing twice is no error."""
        self._registry._remove(self._handler)

    def __repr__(self) -> str:
        return f"<hook {self._handler.event}: {self._handler.name}>"


class HookRegistry:
    """The handlers of the process; safe between threads.

    `plugins` gives the installed plugins; it is called for the first table and after `plugins_changed`.
    """

    def __init__(self, plugins: Optional[PluginSource] = None) -> None:
        self._lock = threading.RLock()
        self._registered: list[Handler] = []
        self._plugins = plugins
        self._plugin_handlers: Optional[list[Handler]] = None
        self._sync: Optional[HookTable] = None
        self._async: Optional[HookTable] = None

    def register(
        self, event: str, fn: Callable[..., Any], model: Optional[type] = None, priority: int = 0
    ) -> HookHandle:
        """Call `fn` at each `event` in sessions made from now on.

        The manual of the events is blaze/hooks/spec.py. `model` limits it to objects of a class and its
        subclasses; higher `priority` is called first. Raises ConfigurationError for an unknown event
        or argument, naming the nearest.
        """
        handler = make_handler(event, fn, model, priority)
        with self._lock:
            self._registered.append(handler)
            self._outdate()
        return HookHandle(self, handler)

    def table(self, hooks: Iterable[Any] = (), is_async: bool = False) -> HookTable:
        """Return the handlers for a session with these `hooks=`; without any it is a shared table.

        Raises ConfigurationError for unfit hooks and for `async def` handlers in a synchronous session,
        PluginError for a plugin that was registered by hand and cannot be used.
        """
        if not hooks:
            table = self._async if is_async else self._sync
            if table is not None:
                return table
        return self._freeze(hooks, is_async)

    def connect(self, plugins: PluginSource) -> None:
        """Take installed plugins from here."""
        self._plugins = plugins
        self.plugins_changed()

    def plugins_changed(self) -> None:
        """Ask for the plugins again when the next session is made."""
        with self._lock:
            self._plugin_handlers = None
            self._outdate()

    def _freeze(self, hooks: Iterable[Any], is_async: bool) -> HookTable:
        if not isinstance(hooks, Iterable) or isinstance(hooks, (str, dict)):
            raise ConfigurationError(f"hooks= takes a sequence of objects, not one {type(hooks).__name__}")
        own = [handler for each in hooks for handler in object_handlers(each)]
        with self._lock:
            if self._plugin_handlers is None:
                self._plugin_handlers = _load(self._plugins)
            table = HookTable([*self._registered, *self._plugin_handlers, *own], is_async)
            if not own:
                if is_async:
                    self._async = table
                else:
                    self._sync = table
        return table

    def _outdate(self) -> None:
        self._sync = self._async = None

    def _remove(self, handler: Handler) -> None:
        with self._lock:
            # By identity: a function may be registered twice.
            self._registered = [each for each in self._registered if each is not handler]
            self._outdate()


def _load(plugins: Optional[PluginSource]) -> list[Handler]:
    """Freeze the hooks of the installed plugins, in the order in which pluggy would call them."""
    manager = None if plugins is None else plugins(spec)
    if manager is None:
        return []
    handlers = []
    for event in spec.EVENTS:
        for found in reversed(getattr(manager.hook, event).get_hookimpls()):
            handler = make_handler(event, found.function, None, marked_priority(found.function), PLUGIN)
            handlers.append(handler._replace(call=_naming(found.plugin_name, handler)))
    return handlers


def _naming(plugin: str, handler: Handler) -> Call:
    """Return the call of a plugin's handler that names the plugin when it fails.

    Errors of Blaze are what a hook says on purpose, such as `ValidationError`: they stay as they are.
    """
    call = handler.call

    def failure(error: Exception) -> PluginError:
        return PluginError(
            f"the plugin {plugin!r} of blaze.hooks failed in {handler.event} ({handler.name}):"
            f" {type(error).__name__}: {error}; update or uninstall its distribution"
        )

    def checked(**arguments: Any) -> Any:
        try:
            return call(**arguments)
        except BlazeError:
            raise
        except Exception as error:
            raise failure(error) from error

    async def awaited(**arguments: Any) -> Any:
        try:
            return await call(**arguments)
        except BlazeError:
            raise
        except Exception as error:
            raise failure(error) from error

    return awaited if handler.is_async else checked


registry = HookRegistry()
