"""What `hooks.register` takes and refuses, and which handlers a session gets."""

from __future__ import annotations

import functools
import gc
import threading
import weakref
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from blaze import hooks
from blaze.errors import ConfigurationError, ModelError
from blaze.hooks.spec import EVENTS


@pytest.fixture
def registry() -> hooks.HookRegistry:
    return hooks.HookRegistry()


class Base:
    pass


class Book(Base):
    pass


class Author(Base):
    pass


PAIRS = ("validate", "save", "delete", "commit", "execute")
ARGUMENTS: dict[str, Any] = {
    "session": "a session",
    "instance": "an object",
    "created": True,
    "statement": "SELECT 1",
    "params": (1,),
    "duration": 0.5,
    "rows": 3,
    "error": None,
}


def handlers(table: hooks.HookTable, event: str, model: type = Book) -> Any:
    return getattr(table if hasattr(table, event) else table.for_model(model), event)


def call(table: hooks.HookTable, event: str, model: type = Book, **changed: Any) -> None:
    values = {**ARGUMENTS, **changed}
    hooks.call(handlers(table, event, model), **{name: values[name] for name in EVENTS[event]})


@pytest.mark.requirement("R90")
@pytest.mark.parametrize("event", EVENTS)
def test_every_event_reaches_its_handlers(registry: hooks.HookRegistry, event: str) -> None:
    seen: list[Any] = []
    registry.register(event, lambda session: seen.append(session))
    registry.register(event, lambda **given: seen.append(given))
    registry.register(event, lambda: seen.append("nothing"))
    call(registry.table(), event)
    assert seen == ["a session", {name: ARGUMENTS[name] for name in EVENTS[event]}, "nothing"]


def test_the_events_are_those_of_the_api() -> None:
    pairs = {f"{when}_{what}" for when in ("before", "after") for what in PAIRS}
    assert set(EVENTS) == {*pairs, "after_rollback", "on_load"}


def test_handlers_take_any_subset_by_name(registry: hooks.HookRegistry) -> None:
    seen: list[Any] = []

    class Audit:
        def method(self, created: bool, *, instance: Any) -> None:
            seen.append((instance, created))

        def __call__(self, instance: Any) -> None:
            seen.append(instance)

    def with_default(instance: Any, factor: int = 2) -> None:
        seen.append(factor)

    registry.register("after_save", Audit().method)
    registry.register("after_save", Audit())
    registry.register("after_save", with_default)
    registry.register("after_save", functools.partial(with_default, factor=3))
    call(registry.table(), "after_save")
    assert seen == [("an object", True), "an object", 2, 3]


def test_an_unknown_event_is_refused_with_the_nearest(registry: hooks.HookRegistry) -> None:
    with pytest.raises(ConfigurationError, match="no hook 'before_sav'; did you mean 'before_save'"):
        registry.register("before_sav", lambda: None)


def refuse_everything() -> Iterator[tuple[str, Any, str]]:
    yield "before_save", lambda instanc: None, "'instanc', which no hook gives; did you mean 'instance'"
    yield "before_save", lambda instance, creatd=False: None, "did you mean 'created'"
    yield "before_commit", lambda instance: None, "'instance', which before_validate, .* give; before_commit"
    yield (
        "before_save",
        lambda statement: None,
        "before_execute, after_execute give; before_save gives session",
    )
    yield "before_save", eval("lambda instance, /: None"), "positional only"
    yield "before_save", None, "must be a function, not NoneType"
    yield "before_save", generator, "has a `yield` and would never run"


def generator(instance: Any) -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(("event", "function", "message"), list(refuse_everything()))
def test_what_cannot_be_called_is_refused(
    registry: hooks.HookRegistry, event: str, function: Any, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        registry.register(event, function)


@pytest.mark.parametrize("priority", ["1", None, 0.5])
def test_a_priority_is_a_whole_number(registry: hooks.HookRegistry, priority: Any) -> None:
    with pytest.raises(ConfigurationError, match="priority= of a handler of before_save must be an int"):
        registry.register("before_save", lambda: None, priority=priority)
    registry.table()


@pytest.mark.parametrize(
    ("event", "model", "message"),
    [
        ("before_commit", Book, "about a session, not about objects of Book"),
        ("before_save", "Book", "must be a class"),
        ("before_save", int, "must be a model, .* no model can be a subclass of int"),
        ("on_load", Decimal, "no model can be a subclass of Decimal"),
    ],
)
def test_a_model_must_fit_the_event(
    registry: hooks.HookRegistry, event: str, model: Any, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        registry.register(event, lambda: None, model=model)


@pytest.mark.requirement("R90")
def test_a_model_limits_a_handler_to_its_subclasses(registry: hooks.HookRegistry) -> None:
    seen: list[str] = []
    registry.register("before_save", lambda: seen.append("base"), model=Base)
    registry.register("before_save", lambda: seen.append("book"), model=Book)
    table = registry.table()
    for model in (Book, Author, Base, int):
        seen.append(model.__name__)
        call(table, "before_save", model)
    assert seen == ["Book", "base", "book", "Author", "base", "Base", "base", "int"]


def test_the_order_is_priority_then_model_registered_session(registry: hooks.HookRegistry) -> None:
    seen: list[str] = []

    class Own:
        def before_save(self) -> None:
            seen.append("model")

    class Given:
        def before_save(self) -> None:
            seen.append("session")

    for name, priority in (("late", -1), ("first", 0), ("second", 0), ("early", 1)):
        registry.register("before_save", functools.partial(seen.append, name), priority=priority)
    call(registry.table([Given()]), "before_save", Own, instance=Own())
    assert seen == ["early", "model", "first", "second", "session", "late"]


def test_later_registrations_and_removals_hold_for_later_sessions(registry: hooks.HookRegistry) -> None:
    seen: list[int] = []
    before = registry.table()
    handle = registry.register("before_commit", lambda: seen.append(1))
    during = registry.table()
    handle.remove()
    handle.remove()
    after = registry.table()
    for table in (before, during, after):
        call(table, "before_commit")
    assert seen == [1]
    assert registry.table() is after
    assert "before_commit" in repr(handle)


def test_one_function_registered_twice_is_called_twice_and_removed_once(registry: hooks.HookRegistry) -> None:
    seen: list[int] = []

    def handler() -> None:
        seen.append(1)

    handle = registry.register("before_commit", handler)
    registry.register("before_commit", handler)
    call(registry.table(), "before_commit")
    handle.remove()
    call(registry.table(), "before_commit")
    assert seen == [1, 1, 1]


def test_sessions_without_hooks_share_a_table_and_events_without_handlers_are_empty(
    registry: hooks.HookRegistry,
) -> None:
    table = registry.table()
    assert registry.table() is table
    assert registry.table(is_async=True) is registry.table(is_async=True) is not table
    assert not any(handlers(table, event) for event in EVENTS)
    assert not table.for_model(Book).any
    assert table.for_model(Book) is table.for_model(Book)


def test_an_async_handler_needs_an_async_session(registry: hooks.HookRegistry) -> None:
    async def handler(session: Any) -> None: ...

    class Given:
        async def before_commit(self) -> None: ...

    with pytest.raises(
        ConfigurationError, match=r"Given\.before_commit handles before_commit with `async def`"
    ):
        registry.table([Given()])
    registry.register("after_commit", functools.partial(handler))
    with pytest.raises(ConfigurationError, match="use AsyncSession"):
        registry.table()
    assert registry.table(is_async=True).has_async


def test_hook_objects_are_checked(registry: hooks.HookRegistry) -> None:
    class Misspelt:
        def before_comit(self, session: Any) -> None: ...

    class Empty:
        def helper(self) -> None: ...

    class Good:
        limit = 3

        def before_commit(self) -> None: ...

        def before_lunch(self, table: str) -> None: ...

        def _before_comit(self) -> None: ...

    with pytest.raises(
        ConfigurationError, match=r"before_comit of hooks= is no hook; did you mean 'before_commit'"
    ):
        registry.table([Misspelt()])
    with pytest.raises(ConfigurationError, match="Empty in hooks= has no method named after a hook"):
        registry.table([Empty()])
    with pytest.raises(ConfigurationError, match=r"pass Good\(\)"):
        registry.table([Good])
    with pytest.raises(ConfigurationError, match="a sequence of objects, not one Good"):
        registry.table(Good())  # type: ignore[arg-type]
    assert len(registry.table([Good()]).before_commit) == 1


class TestModelMethods:
    def test_they_are_called_on_the_instance(self, registry: hooks.HookRegistry) -> None:
        class Parent:
            def before_save(self, session: Any, created: bool) -> None:
                self.saved_by = (session, created)

        class Child(Parent):
            def before_save(self, session: Any, created: bool) -> None:
                super().before_save("overridden", created)

        for model, session in ((Parent, "a session"), (Child, "overridden")):
            instance = model()
            call(registry.table(), "before_save", model, instance=instance)
            assert instance.saved_by == (session, True)

    def test_what_is_no_method_is_no_hook(self, registry: hooks.HookRegistry) -> None:
        class Parent:
            def on_load(self) -> None: ...

        class Child(Parent):
            on_load = None  # type: ignore[assignment]
            before_save = "a field"

        assert not registry.table().for_model(Child).any

    @pytest.mark.parametrize(
        ("name", "parameters", "message"),
        [
            ("befor_save", "session", "looks like the hook 'before_save'"),
            ("before_saved", "", "looks like the hook 'before_save'"),
            ("on_loaded", "", "looks like the hook 'on_load'"),
            ("after_deletion", "", "looks like the hook 'after_delete'"),
            ("before_validation", "created", "looks like the hook 'before_validate'"),
            ("after_commits", "", "looks like the hook 'after_commit'"),
            ("before_save", "sesion", "'sesion', which no hook gives; did you mean 'session'"),
            ("before_save", "rows", "'rows', which after_execute give"),
            ("before_commit", "session", "about a session, not about one object"),
        ],
    )
    def test_mistakes_are_found_at_the_first_use(
        self, registry: hooks.HookRegistry, name: str, parameters: str, message: str
    ) -> None:
        model = type("Model", (), {name: eval(f"lambda self, {parameters}: None")})
        with pytest.raises(ModelError, match=message):
            registry.table().for_model(model)

    @pytest.mark.parametrize(
        ("name", "parameters"),
        [
            ("before_sale", "session"),
            ("on_loan", "session"),
            ("after_hours", ""),
            ("after_sale", ""),
            ("befor_save", "customer"),
            ("after_saved", "stock"),
            ("saved", ""),
        ],
    )
    def test_other_methods_are_left_alone(
        self, registry: hooks.HookRegistry, name: str, parameters: str
    ) -> None:
        model = type("Model", (), {name: eval(f"lambda self, {parameters}: None")})
        assert not registry.table().for_model(model).any

    def test_an_async_one_needs_an_async_session(self, registry: hooks.HookRegistry) -> None:
        class Model:
            async def after_save(self) -> None: ...

        with pytest.raises(
            ConfigurationError, match=r"Model\.after_save handles after_save with `async def`"
        ):
            registry.table().for_model(Model)
        assert registry.table(is_async=True).for_model(Model).after_save

    def test_a_table_keeps_no_model_alive(self, registry: hooks.HookRegistry) -> None:
        class Model:
            def after_save(self) -> None:
                super().__init__()  # refers to its class

        table = registry.table()
        assert table.for_model(Model).any
        reference = weakref.ref(Model)
        del Model
        gc.collect()
        assert reference() is None
        assert not table.known


def test_threads_may_register_at_once(registry: hooks.HookRegistry) -> None:
    def work() -> None:
        for _ in range(50):
            registry.register("before_commit", lambda: None)
            registry.table()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registry.table().before_commit) == 200
