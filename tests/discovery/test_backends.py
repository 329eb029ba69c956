"""Backends and their drivers, found in installed distributions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.discovery.distributions import Site

# A backend with a driver of its own, made of that for SQLite.
GOOD = """
    from blaze.adapters.adapter import Backend
    from blaze.adapters.options import Option

    print_nothing = None

    def adapter():
        from blaze_sqlite import SQLiteAdapter

        class Quick(SQLiteAdapter):
            name = "quick"

        return Quick()

    def turbo():
        found = adapter()
        found.driver = "turbo"
        return found

    backend = Backend(
        name="quick", adapter=adapter, drivers={"turbo": turbo}, options={"gear": Option("count", "the gear")}
    )
"""
OLD = GOOD + "    backend = backend._replace(protocol_version=0)\n"


FRAIL = """
    from blaze.adapters.adapter import Backend

    def adapter():
        import libfoo

    backend = Backend(name="frail", adapter=adapter)
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.install("blaze-quick", {"blaze.backends": {"quick": "quick_plugin:backend"}}, quick_plugin=GOOD)
    site.install("blaze-old", {"blaze.backends": {"old": "old_plugin:backend"}}, "0.3", old_plugin=OLD)
    site.install(
        "blaze-lost", {"blaze.backends": {"lost": "lost_plugin:backend"}}, lost_plugin="import nowhere_at_all"
    )
    site.install("blaze-frail", {"blaze.backends": {"frail": "frail_plugin:backend"}}, frail_plugin=FRAIL)
    site.install("blaze-odd", {"blaze.backends": {"odd": "odd_plugin:nothing_there"}}, odd_plugin="x = 1")
    site.install("blaze-garbled", {"blaze.backends": {"garbled": "not a valid ref!!"}})
    site.install("blaze-mine", {"blaze.backends": {"twice": "mine_plugin:backend"}}, mine_plugin=GOOD)
    site.install(
        "blaze-theirs", {"blaze.backends": {"twice": "theirs_plugin:backend"}}, "2.5", theirs_plugin=GOOD
    )
    return site


@pytest.mark.requirement("R90")
def test_an_installed_backend_serves_its_dsns(site: Site) -> None:
    script = """
        import json, sys
        from blaze import ConfigurationError, Engine, Session
        before = "quick_plugin" in sys.modules
        with Engine("quick://?gear=3") as engine, Session(engine) as session:
            found = [session.exec_scalar("SELECT 1 + 1"), engine.adapter.driver, engine.config.get("gear")]
        with Engine("quick+turbo://") as engine:
            found.append(engine.adapter.driver)
        try:
            Engine("quick+diesel://").adapter
        except ConfigurationError as error:
            found.append(str(error))
        others = [name for name in sys.modules if name.endswith("_plugin") and name != "quick_plugin"]
        print(json.dumps([before, *found, others]))
    """
    before, two, driver, gear, other, refusal, loaded = site.run(script)
    assert (before, two, driver, gear, other) == (False, 2, "sqlite3", 3, "turbo")
    assert "no driver 'diesel'" in refusal
    assert loaded == []  # each on its own, and only when it is needed


@pytest.mark.requirement("R90")
def test_a_name_belongs_to_the_distribution_that_is_named_after_it(site: Site) -> None:
    site.install("aa-steal", {"blaze.backends": {"sqlite": "nowhere:x", "quick": "nowhere:y"}})
    script = """
        import json, logging
        lines = []
        handler = logging.Handler()
        handler.emit = lambda record: lines.append(record.levelname + " " + record.getMessage())
        logging.getLogger("blaze.plugins").addHandler(handler)
        from blaze import Engine, Session
        from blaze.plugins import plugins
        found = []
        for scheme in ("sqlite", "quick", "sqlite"):
            with Engine(scheme + "://") as engine, Session(engine) as session:
                found.append(session.exec_scalar("SELECT 1"))
        infos = [[*info] for info in plugins() if info.name in ("sqlite", "quick")]
        print(json.dumps([found, lines, infos]))
    """
    found, lines, infos = site.run(script)
    assert found == [1, 1, 1]
    assert sorted(lines) == [
        f"WARNING aa-steal 1.0 offers {name!r}, too: the name belongs to {owner}, which is used instead"
        for name, owner in (("quick", "blaze-quick 1.0"), ("sqlite", "blaze-sqlite 0.1.0"))
    ]
    assert {(name, distribution, state) for _, name, distribution, _, state, _ in infos} == {
        ("sqlite", "blaze-sqlite", "loaded"), ("sqlite", "aa-steal", "broken"),
        ("quick", "blaze-quick", "loaded"), ("quick", "aa-steal", "broken"),
    }  # fmt: skip


@pytest.mark.requirement("R90")
@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ("old", ["'old'", "blaze-old 0.3", "protocol version 0", "update or uninstall"]),
        ("lost", ["'lost'", "blaze-lost 1.0", "No module named 'nowhere_at_all'"]),
        ("frail", ["'frail'", "blaze-frail 1.0", "No module named 'libfoo'", "update or uninstall"]),
        ("odd", ["'odd'", "blaze-odd 1.0", "nothing_there"]),
        ("garbled", ["'garbled'", "blaze-garbled 1.0", "'not a valid ref!!' is no module:attribute"]),
        ("twice", ["'twice'", "blaze-mine 1.0", "blaze-theirs 2.5", "both offer it"]),
    ],
)
def test_a_broken_backend_is_named_and_hurts_no_other(site: Site, scheme: str, words: list[str]) -> None:
    script = f"""
        import json
        from blaze import Engine, PluginError, Session
        try:
            Engine("{scheme}://")
        except PluginError as error:
            said = str(error)
        with Engine("quick://") as engine, Session(engine) as session:
            session.exec_scalar("SELECT 1")
        with Engine("sqlite://") as engine, Session(engine) as session:
            session.exec_scalar("SELECT 1")
        print(json.dumps(said))
    """
    said = site.run(script)
    assert all(word in said for word in words), said


def test_all_plugins_are_listed_with_what_is_wrong(site: Site) -> None:
    script = """
        import json
        from blaze.plugins import plugins
        print(json.dumps([plugins(), plugins(load=True)]))
    """
    found, loaded = [
        {info[1]: info for info in infos if info[0] == "blaze.backends"} for infos in site.run(script)
    ]
    assert found["quick"] == ["blaze.backends", "quick", "blaze-quick", "1.0", "found", ""]
    assert found["lost"][4] == "found"
    assert [loaded[name][4] for name in ("quick", "sqlite", "old", "lost", "twice")] == [
        "loaded", "loaded", "broken", "broken", "broken",
    ]  # fmt: skip
    assert "nowhere_at_all" in loaded["lost"][5]
