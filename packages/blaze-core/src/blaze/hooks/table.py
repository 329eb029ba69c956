"""The handlers of one session, frozen: tuples by event, found once for each model."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

from blaze.errors import ConfigurationError
from blaze.hooks.handler import Call, Handler, model_handlers
from blaze.hooks.spec import INSTANCE_EVENTS

Calls = tuple[Call, ...]


class ModelHooks:
    """The handlers for the objects of one model, in calling order; `any` is False when there is none."""

    __slots__ = (
        "after_delete",
        "after_save",
        "after_validate",
        "any",
        "before_delete",
        "before_save",
        "before_validate",
        "on_load",
    )

    before_validate: Calls
    after_validate: Calls
    before_save: Calls
    after_save: Calls
    before_delete: Calls
    after_delete: Calls
    on_load: Calls
    any: bool

    def __init__(self, handlers: Iterable[Handler]) -> None:
        handlers = sorted(handlers, key=lambda handler: handler.rank)
        self.any = bool(handlers)
        for event in INSTANCE_EVENTS:
            setattr(self, event, _calls(event, handlers))


class HookTable:
    """All handlers of a session. The events of the session are tuples here, those of objects are in
    `for_model(model)`: a model can have hooks of its own. `known` holds them by the model's `id` from the
    first call on, `loads` says whether a registered handler waits for `on_load`.

    An empty tuple is one truth test. A table never changes; it is shared by all sessions without `hooks=`.
    """

    __slots__ = (
        "_alive",
        "_handlers",
        "after_commit",
        "after_execute",
        "after_rollback",
        "before_commit",
        "before_execute",
        "has_async",
        "is_async",
        "known",
        "loads",
    )

    def __init__(self, handlers: Iterable[Handler], is_async: bool) -> None:
        self._handlers = tuple(sorted(handlers, key=lambda handler: handler.rank))
        self.known: dict[int, ModelHooks] = {}
        self._alive: dict[int, weakref.ref[Any]] = {}
        self.is_async = is_async
        self.has_async = any(handler.is_async for handler in self._handlers)
        self._refuse_async(self._handlers)
        self.loads = any(handler.event == "on_load" for handler in self._handlers)
        self.before_commit = _calls("before_commit", self._handlers)
        self.after_commit = _calls("after_commit", self._handlers)
        self.after_rollback = _calls("after_rollback", self._handlers)
        self.before_execute = _calls("before_execute", self._handlers)
        self.after_execute = _calls("after_execute", self._handlers)

    def for_model(self, model: Any) -> ModelHooks:
        """Return the handlers for the objects of a model; they are put together at the first call.

        Raises ModelError when a method of the model is no proper hook, ConfigurationError when it is an
        `async def` and the session is synchronous.
        """
        found = self.known.get(id(model))
        return self._put_together(model) if found is None else found

    def _put_together(self, model: Any) -> ModelHooks:
        fitting = [
            handler
            for handler in self._handlers
            if handler.event in INSTANCE_EVENTS
            and (handler.model is None or issubclass(model, handler.model))
        ]
        own = list(model_handlers(model))
        self._refuse_async(own)
        found = ModelHooks(fitting + own)
        # By identity and with a weak reference: a table outlives models that are made and dropped.
        key = id(model)
        self._alive[key] = weakref.ref(model, lambda _: self._forget(key))
        self.known[key] = found
        return found

    def _forget(self, key: int) -> None:
        self.known.pop(key, None)
        self._alive.pop(key, None)

    def _refuse_async(self, handlers: Iterable[Handler]) -> None:
        if self.is_async:
            return
        for handler in handlers:
            if handler.is_async:
                raise ConfigurationError(
                    f"{handler.name} handles {handler.event} with `async def`, which a synchronous session"
                    " cannot await: use AsyncSession, or make it a plain function"
                )


def _calls(event: str, handlers: Iterable[Handler]) -> Calls:
    return tuple([handler.call for handler in handlers if handler.event == event])
