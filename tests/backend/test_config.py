"""DSNs and configurations."""

from __future__ import annotations

import pytest

from blaze.adapters import ConnectionConfig
from blaze.errors import ConfigurationError
from blaze.security import Secret

pytestmark = pytest.mark.requirement("R80", "R83")


def test_all_parts_of_a_dsn() -> None:
    config = ConnectionConfig.from_dsn(
        "postgresql+asyncpg://a%40b:p%2F%3A%40w@db.example:5433/my%20app?pool_size=3"
    )
    assert (config.scheme, config.driver) == ("postgresql", "asyncpg")
    assert (config.host, config.port, config.user, config.database) == ("db.example", 5433, "a@b", "my app")
    assert config.secret == Secret("p/:@w")
    assert config.get("pool_size") == 3
    assert config.get("recycle", 7) == 7


@pytest.mark.parametrize(
    ("dsn", "database"),
    [
        ("sqlite://", None),
        ("sqlite:///", None),
        ("sqlite:///rel.db", "rel.db"),
        ("sqlite:////abs/x.db", "/abs/x.db"),
        ("sqlite:///C:/x.db", "C:/x.db"),
        ("sqlite:///a%20b%3F.db", "a b?.db"),
        ("sqlite:///a.db?mode=ro", "a.db"),
        ("sqlite+aiosqlite:///a.db", "a.db"),
    ],
)
def test_paths_of_file_databases(dsn: str, database: str) -> None:
    assert ConnectionConfig.from_dsn(dsn).database == database


@pytest.mark.parametrize(
    ("dsn", "host", "port"),
    [
        ("postgresql://[::1]:5432/x", "::1", 5432),
        ("postgresql://[::1]/x", "::1", None),
        ("postgresql://u@[fe80::1%25eth0]:1/x", "fe80::1%eth0", 1),
        ("postgresql://%2Frun%2Fpg:5433/x", "/run/pg", 5433),
        ("postgresql://a:1,b:2/x", "a:1,b:2", None),
        ("postgresql:///x?host=/run/pg&port=5433&user=u&password=p", "/run/pg", 5433),
    ],
)
def test_hosts(dsn: str, host: str, port: object) -> None:
    config = ConnectionConfig.from_dsn(dsn)
    assert (config.host, config.port) == (host, port)
    assert ConnectionConfig.from_dsn(str(config)) == config.replace(
        password=Secret("***") if config.secret else None
    )
    assert config.password is None or isinstance(config.password, Secret)


def test_options_have_types_and_units() -> None:
    config = ConnectionConfig.from_dsn(
        "sqlite:///x?connect_timeout=1.5&pool_size=4&autocommit=true&pgbouncer=off&isolation_level=SERIALIZABLE"
    )
    assert config.options == {
        "connect_timeout": 1.5,
        "pool_size": 4,
        "autocommit": True,
        "pgbouncer": False,
        "isolation_level": "SERIALIZABLE",
    }
    assert ConnectionConfig("sqlite", options={"lock_timeout": 3}).get("lock_timeout") == 3.0


@pytest.mark.parametrize(
    ("dsn", "message"),
    [
        (
            "sqlite:///x?lock_timout=1",
            "no connection option 'lock_timout' of sqlite; did you mean 'lock_timeout'",
        ),
        ("sqlite:///x?journal_mod=wal", "did you mean 'journal_mode'"),
        ("sqlite:///x?lock_timeout=soon", "lock_timeout is a number of seconds"),
        ("sqlite:///x?lock_timeout=-1", "lock_timeout is a number of seconds"),
        ("sqlite:///x?lock_timeout=nan", "lock_timeout is a number of seconds"),
        ("sqlite:///x?pool_size=1.5", "pool_size is a whole number"),
        ("sqlite:///x?autocommit=maybe", "autocommit is true or false"),
        ("sqlite:///x?mode=rx", "one of: ro, rw, rwc, memory"),
        ("x.db", "does not start with a scheme"),
        ("postgresql://h:99999/x", "between 1 and 65535"),
        ("postgresql://h/x?port=y", "the port is not a number"),
    ],
)
def test_mistakes_name_the_cure(dsn: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ConnectionConfig.from_dsn(dsn)


def test_options_cannot_be_changed_in_place() -> None:
    config = ConnectionConfig.from_dsn("sqlite:///x")
    with pytest.raises(TypeError):
        config.options["a"] = 1  # type: ignore[index]
    assert config.with_options(lock_timeout=1).options == {"lock_timeout": 1.0}
    assert config.options == {}


def test_the_environment() -> None:
    assert ConnectionConfig.from_env(environ={"DATABASE_URL": "sqlite:///a"}).database == "a"
    assert (
        ConnectionConfig.from_env(
            environ={"DATABASE_URL": "sqlite:///a", "BLAZE_DSN": "sqlite:///b"}
        ).database
        == "b"
    )
    parts = {
        "APP_SCHEME": "postgresql",
        "APP_HOST": "h",
        "APP_PORT": "1",
        "APP_USER": "u",
        "APP_PASSWORD": "p@/",
        "APP_DATABASE": "d",
        "APP_LOCK_TIMEOUT": "2",
    }
    config = ConnectionConfig.from_env("APP_", parts)
    assert config.redacted() == "postgresql://u:***@h:1/d?lock_timeout=2.0"
    assert config.secret == Secret("p@/")
    with pytest.raises(ConfigurationError, match="set BLAZE_DSN"):
        ConnectionConfig.from_env(environ={})
    with pytest.raises(ConfigurationError, match="BLAZE_PORT is not a number"):
        ConnectionConfig.from_env(environ={"BLAZE_SCHEME": "x", "BLAZE_PORT": "p"})
    address = ConnectionConfig.from_dsn("postgresql://u:p@[::1]:5/d")
    assert address.redacted() == "postgresql://u:***@[::1]:5/d"


@pytest.mark.requirement("R89")
@pytest.mark.parametrize("scheme", ["postgresql://bob:hunter2@h/db", "", "sqlite:", "a b"])
def test_a_scheme_is_a_name_and_no_dsn(scheme: str) -> None:
    with pytest.raises(ConfigurationError, match=r"ConnectionConfig\.from_dsn") as caught:
        ConnectionConfig(scheme)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.traceback[-1].frame.f_locals)
