"""Hook sets of installed distributions: each on its own, broken ones logged and left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.discovery.distributions import Site

GOOD = """
    from blaze.hooks import hookimpl

    class Hooks:
        calls = []

        @hookimpl
        def before_commit(self):
            self.calls.append("commit")

        @hookimpl
        def before_save(self, instance):
            self.calls.append(instance.name)

    hooks = Hooks()
"""
BROKEN = """
    import pluggy
    from blaze.hooks import hookimpl

    class Misspelt:
        @hookimpl
        def before_comit(self): ...

    class Wrapping:
        @pluggy.HookimplMarker("blaze")(wrapper=True)
        def before_commit(self):
            yield

    class Empty: ...

    class Old:
        protocol_version = 2

        @hookimpl
        def before_commit(self): ...

    class Named:
        @hookimpl
        def before_save(self, instance): ...

    class Yielding:
        @hookimpl
        def before_commit(self):
            yield

    class Unset:
        def __getattr__(self, name):
            raise RuntimeError("not configured")

        def __dir__(self):
            return ["before_commit"]

    misspelt, wrapping, empty, old = Misspelt(), Wrapping(), Empty(), Old()
    yielding, unset = Yielding(), Unset()
"""
FAILING = """
    from blaze import ValidationError
    from blaze.hooks import hookimpl

    class Hooks:
        @hookimpl
        def before_save(self, instance):
            if instance.name == "bad":
                raise KeyError("a bug")
            if instance.name == "refused":
                raise ValidationError({"name": "refused"}, type(instance))

        @hookimpl
        def after_commit(self):
            raise ValueError("too late")

    hooks = Hooks()
"""
PROGRAM = """
    import json, logging
    from blaze import Engine, Field, Model, PluginError, Session, ValidationError, create_all, field

    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger("blaze.plugins").addHandler(handler)

    class Place(Model):
        id: Field[int] = field(primary_key=True)
        name: Field[str]

    engine = Engine("sqlite://")
    create_all(engine, [Place])

    def save(name):
        with Session(engine) as session:
            session.add(Place(name=name))
            try:
                session.commit()
            except Exception as error:
                found = [type(error).__name__, str(error), type(error.__cause__).__name__]
                session.rollback()
                return found

    def stored():
        with Session(engine) as session:
            return session.query(Place.name).order_by("name").scalars()
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.install("blaze-audit", {"blaze.hooks": {"audit": "audit_plugin:hooks"}}, audit_plugin=GOOD)
    return site


@pytest.mark.requirement("R90")
def test_broken_hook_sets_are_logged_by_name_and_left_out(site: Site) -> None:
    unfit = ("misspelt", "wrapping", "empty", "old", "Named", "yielding", "unset")
    names = {name: f"broken_plugin:{name}" for name in (*unfit, "gone")}
    site.install("blaze-broken", {"blaze.hooks": names}, "0.1", broken_plugin=BROKEN)
    site.install("blaze-copy", {"blaze.hooks": {"gone": "elsewhere:hooks"}}, "9")
    script = (
        PROGRAM
        + """
    errors = [save("a"), save("b")]
    import audit_plugin
    from blaze.plugins import plugins
    states = {info.name: info.state for info in plugins() if info.group == "blaze.hooks"}
    print(json.dumps([errors, audit_plugin.hooks.calls, lines, states]))
    """
    )
    errors, calls, lines, states = site.run(script)
    assert errors == [None, None]
    assert calls == ["commit", "a", "commit", "b"]
    assert len(lines) == 8  # once for the process, not for each session
    for name in unfit:
        (line,) = [line for line in lines if f"'{name}'" in line]
        assert "blaze-broken 0.1" in line
        assert "its hooks are left out" in line
    for reason in (
        "before_comit", "wraps before_commit", "has no method marked", "protocol version 2",
        "is the class Named; give an object of it", "has a `yield`", "RuntimeError: not configured",
    ):  # fmt: skip
        assert any(reason in line for line in lines), (reason, lines)
    assert any("blaze-broken 0.1 and blaze-copy 9 both offer it" in line for line in lines)
    assert states == {"audit": "loaded", **dict.fromkeys([*names], "broken")}


@pytest.mark.requirement("R90")
def test_a_hook_set_that_raises_is_named(site: Site) -> None:
    site.install(
        "blaze-failing", {"blaze.hooks": {"failing": "failing_plugin:hooks"}}, failing_plugin=FAILING
    )
    script = (
        PROGRAM
        + """
    found = [save("bad"), save("refused"), save("good")]
    print(json.dumps([found, stored()]))
    """
    )
    (bad, refused, good), stored = site.run(script)
    assert bad[0] == good[0] == "PluginError"
    assert "'failing' of blaze.hooks failed in before_save" in bad[1]
    assert bad[2] == "KeyError"
    assert refused[0] == "ValidationError"  # what a hook says on purpose stays as it is
    assert "failed in after_commit" in good[1]
    assert stored == ["good"]  # what was committed is committed
