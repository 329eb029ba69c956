"""Handlers: functions that were checked against the manual of the hooks, ready to be called."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from blaze.errors import ConfigurationError, ModelError
from blaze.hooks.spec import ARGUMENTS, EVENTS, INSTANCE_EVENTS, SESSION_EVENTS
from blaze.utils.naming import close_matches, suggest

# inspect is imported late, by those who have hooks: it costs more than all of this package.
if TYPE_CHECKING:
    import inspect

# Takes the arguments of its event by name, all of them.
Call = Callable[..., Any]

MODEL, REGISTERED, PLUGIN, SESSION = range(4)  # where a handler comes from, in calling order
TRYFIRST = 100
PREFIXES = ("before_", "after_", "on_")  # of all events
ENDING = re.compile(r"(e[ds]?|s|ing|ion)$")
FORMS = {ENDING.sub("", event): event for event in EVENTS}  # by what all forms of a verb begin with


class Handler(NamedTuple):
    """One function for one event.

    `call` takes all arguments of the event by name and passes on the wanted ones. `model` limits it to a
    class and its subclasses; `stage` is one of MODEL, REGISTERED, PLUGIN, SESSION.
    """

    event: str
    call: Call
    name: str
    is_async: bool
    model: Optional[type] = None
    priority: int = 0
    stage: int = REGISTERED

    @property
    def rank(self) -> tuple[int, int]:
        """What handlers are sorted by; equal ones keep their order."""
        return -self.priority, self.stage


def make_handler(
    event: str,
    function: Callable[..., Any],
    model: Optional[type] = None,
    priority: int = 0,
    stage: int = REGISTERED,
) -> Handler:
    """Check a function against an event and make its handler.

    Raises ConfigurationError for an unknown event, an argument that the event does not give, a generator,
    a class that no model inherits from, a model for an event that is about a session, and a priority that is
    no int.
    """
    check_event(event)
    if not callable(function):
        raise ConfigurationError(f"a handler of {event} must be a function, not {type(function).__name__}")
    if not isinstance(priority, int):
        raise ConfigurationError(
            f"priority= of a handler of {event} must be an int, not {priority!r}: the highest is called first"
        )
    if model is not None:
        if not isinstance(model, type):
            raise ConfigurationError(f"model= of a handler of {event} must be a class, not {model!r}")
        make: Any = model.__new__
        if make is not object.__new__ and not isinstance(make, FunctionType):
            raise ConfigurationError(
                f"model= of a handler of {event} must be a model, or an abstract base or mixin of models: "
                f"no model can be a subclass of {model.__name__}"
            )
        if event not in INSTANCE_EVENTS:
            raise ConfigurationError(
                f"{event} is about a session, not about objects of {model.__name__}: leave model= out"
            )
    name = describe(function)
    wanted = wanted_arguments(event, function, name)
    whole = set(wanted) == set(EVENTS[event])
    call = function if whole else _adapter(event, wanted, "")(function)
    return Handler(event, call, name, is_async(function), model, priority, stage)


def check_event(event: str) -> None:
    """Raise ConfigurationError with the nearest names for an event that does not exist."""
    if event not in EVENTS:
        raise ConfigurationError(f"there is no hook {event!r}{suggest(str(event), EVENTS)}")


def wanted_arguments(event: str, function: Callable[..., Any], name: str) -> tuple[str, ...]:
    """Return the arguments of the event that a function asks for; `**arguments` asks for all.

    A parameter with a default may have any name that is not a misspelt one.
    """
    from inspect import Parameter

    given = EVENTS[event]
    wanted: list[str] = []
    for parameter in _signature(function, name).parameters.values():
        if parameter.kind is Parameter.VAR_KEYWORD:
            return given
        if parameter.kind is Parameter.VAR_POSITIONAL:
            continue
        optional = parameter.default is not Parameter.empty
        if parameter.kind is Parameter.POSITIONAL_ONLY:
            if not optional:
                raise ConfigurationError(
                    f"{name} cannot handle {event}: its argument {parameter.name!r} is positional only,"
                    " hooks pass arguments by name"
                )
        elif parameter.name in given:
            wanted.append(parameter.name)
        elif not optional or (parameter.name not in ARGUMENTS and close_matches(parameter.name, given, 0.8)):
            raise ConfigurationError(_unknown_argument(event, parameter.name, name))
    return tuple(wanted)


def model_handlers(model: Any) -> Iterator[Handler]:
    """Find the methods of a model that are named after events.

    Raises ModelError for one that takes what its event does not give, is named after an event of the
    session, or looks like a misspelt one.
    """
    methods: dict[str, FunctionType] = {}
    for base in reversed(model.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, (staticmethod, classmethod)) and name in EVENTS:
                raise ModelError(
                    f"{model.__module__}.{model.__qualname__}.{name}: a hook of a model is a plain method;"
                    " give functions of the class to hooks.register(..., model=...)"
                )
            if not name.startswith("_") and isinstance(value, FunctionType):
                methods[name] = value
            else:
                methods.pop(name, None)
    for name, function in methods.items():
        where = f"{model.__module__}.{model.__qualname__}.{name}"
        if name in INSTANCE_EVENTS:
            bound = functools.partial(function, None)  # without self
            try:
                wanted = wanted_arguments(name, bound, where)
            except ConfigurationError as error:
                raise ModelError(str(error)) from None
            yield Handler(
                name, _adapter(name, wanted, f"instance.{name}")(None), where, is_async(function), stage=MODEL
            )
        elif name in SESSION_EVENTS:
            raise ModelError(
                f"{where}: {name} is about a session, not about one object;"
                " give it to hooks.register or Session(hooks=...)"
            )
        else:
            # Stricter than for hook objects: a model has many methods that are no hooks (`after_sale`).
            least = 0 if name.startswith(PREFIXES) else 1
            meant = misspelt(name, functools.partial(function, None), least, likeness=0.92)
            if meant:
                raise ModelError(
                    f"{where} looks like the hook {meant!r};"
                    " spell it so, or give it another name if it is none"
                )


def object_handlers(hooks: Any) -> list[Handler]:
    """Find the methods of one object of `Session(hooks=...)`; they are named after events.

    Raises ConfigurationError for a method that looks like a misspelt event, and for an object without hooks.
    """
    if isinstance(hooks, type):
        raise ConfigurationError(f"hooks= takes objects, not classes: pass {hooks.__name__}()")
    found = []
    for name in dir(hooks):
        if name.startswith("_"):
            continue
        method = getattr(hooks, name)
        if not callable(method):
            continue
        if name in EVENTS:
            found.append(make_handler(name, method, priority=marked_priority(method), stage=SESSION))
            continue
        meant = misspelt(name, method)
        if meant:
            raise ConfigurationError(
                f"{describe(method)} of hooks= is no hook; did you mean {meant!r}?"
                " If it is none, start its name with _"
            )
    if not found:
        raise ConfigurationError(
            f"{type(hooks).__name__} in hooks= has no method named after a hook;"
            f" there are {', '.join(EVENTS)}"
        )
    return found


def marked_priority(function: Any) -> int:
    """Return the priority that `@hookimpl(tryfirst=True)` or `trylast=True` gives to a function."""
    options = getattr(function, "blaze_impl", None) or {}
    return TRYFIRST * (bool(options.get("tryfirst")) - bool(options.get("trylast")))


def misspelt(
    name: str, function: Callable[..., Any], at_least: int = 0, likeness: float = 0.8
) -> Optional[str]:
    """Return the event that a function seems to be meant for: a close name, or another form of its verb, and
    only arguments of hooks.
    """
    other_form = FORMS.get(ENDING.sub("", name))
    meant = [other_form] if other_form else close_matches(name, EVENTS, likeness)
    if not meant:
        return None
    import inspect

    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return None
    return meant[0] if len(parameters) >= at_least and ARGUMENTS.issuperset(parameters) else None


def is_async(function: Any) -> bool:
    """Tell whether calling a function gives a coroutine."""
    import inspect

    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004 - not whether, but which
    )


def describe(function: Any) -> str:
    """Return the full name of a function, for messages."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{getattr(function, '__module__', None) or type(function).__module__}.{name}"


def _signature(function: Callable[..., Any], name: str) -> inspect.Signature:
    import inspect

    plain: Any = function
    while isinstance(plain, functools.partial):
        plain = plain.func
    if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
        raise ConfigurationError(f"{name} cannot be a hook: it has a `yield` and would never run")
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        raise ConfigurationError(f"the arguments of {name} cannot be read: wrap it in a function") from None


def _unknown_argument(event: str, argument: str, name: str) -> str:
    givers = [other for other, given in EVENTS.items() if argument in given]
    if givers:
        return (
            f"{name} asks for {argument!r}, which {', '.join(givers)} give;"
            f" {event} gives {', '.join(EVENTS[event])}"
        )
    return f"{name} asks for {argument!r}, which no hook gives{suggest(argument, EVENTS[event])}"


@functools.cache
def _adapter(event: str, wanted: tuple[str, ...], target: str) -> Callable[[Any], Call]:
    """Generate what turns the whole arguments of an event into the wanted ones: one call, no dict.

    All parts of the source are names of the manual; `target` is a method of the instance,
    "" for the function.
    """
    passed = ", ".join(f"{name}={name}" for name in wanted)
    source = f"lambda function: lambda {', '.join(EVENTS[event])}: {target or 'function'}({passed})"
    adapter: Callable[[Any], Call] = eval(source)
    return adapter
