"""Passwords and personal values reach no log, repr, pickle or traceback."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from typing import Any

import pytest

from blaze import Field, Model, Session, create_all, field
from blaze.adapters import ConnectionConfig
from blaze.engine import Engine
from blaze.errors import BlazeError, ConfigurationError, ValidationError
from blaze.security import Redactor, Secret, redact_dsn, redact_statement

PASSWORD = "hunter2"
pytestmark = pytest.mark.requirement("R89")


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret(PASSWORD)
    assert secret.reveal() == PASSWORD
    for text in (repr(secret), str(secret), f"{secret}", f"{secret:>10}", repr([secret])):
        assert PASSWORD not in text
    assert PASSWORD.encode() not in pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
    assert secret == Secret(PASSWORD)
    assert secret != Secret("other")
    assert bool(secret)
    assert not Secret("")
    assert copy.deepcopy(secret).reveal() == PASSWORD


def test_a_pickled_secret_says_what_is_missing() -> None:
    with pytest.raises(ConfigurationError, match=r"pickle.*from_env"):
        pickle.loads(pickle.dumps(Secret(PASSWORD))).reveal()


def test_a_configuration_never_shows_its_password() -> None:
    config = ConnectionConfig.from_dsn(f"postgresql://app:{PASSWORD}@db:5432/app?sslmode=require")
    assert config.secret is not None
    assert config.secret.reveal() == PASSWORD
    for text in (repr(config), str(config), config.redacted(), repr(vars(config))):
        assert PASSWORD not in text
    assert config.redacted() == "postgresql://app:***@db:5432/app?sslmode=require"
    data = pickle.dumps(config)
    assert PASSWORD.encode() not in data
    again = pickle.loads(data)
    assert (again.host, again.port, again.database) == ("db", 5432, "app")
    assert again.options == {"sslmode": "require"}
    assert copy.copy(config) == config
    assert copy.deepcopy(config) == config
    hash(config)


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://app:{PASSWORD}@db:notaport/app",
        f"postgresql://app:{PASSWORD}@[::1/app",
        f"postgresql://app:{PASSWORD}@db/app?sslmod=require",
        f"postgresql://app:{PASSWORD}@db/app?connect_timeout=soon",
        f"app:{PASSWORD}@db",
        f"postgresql://app:pa/{PASSWORD}@db/app",
        f"nosuchbackend://app:{PASSWORD}@db/app",
        f"sqlite://app:{PASSWORD}@db/app",
    ],
)
def test_no_traceback_shows_the_password_even_with_locals(dsn: str) -> None:
    try:
        Engine(dsn)
    except BlazeError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        shown.stack[0].locals = None  # this test's own variables
        assert PASSWORD not in "".join(shown.format())
    else:
        pytest.fail("the DSN was accepted")


def test_dsns_are_redacted_in_any_text() -> None:
    text = (
        f"cannot reach postgresql://app:{PASSWORD}/x@db:5432/app?password={PASSWORD}&a=1,"
        f" host=x password='{PASSWORD}'"
    )
    assert PASSWORD not in redact_dsn(text)
    assert "a=1" in redact_dsn(text)
    assert redact_dsn("sqlite:///app.db") == "sqlite:///app.db"
    assert redact_dsn("https://example.org/a:b") == "https://example.org/a:b"


def test_string_literals_are_taken_out_of_statements() -> None:
    sql = """SELECT "it's", 'it''s secret' /* don't */ FROM t -- 'x'
        WHERE a = 'y' AND b = $q$dollar$q$ AND `c'd` = 1"""
    redacted = redact_statement(sql)
    assert "secret" not in redacted
    assert "'y'" not in redacted
    assert "dollar" not in redacted
    assert '"it\'s"' in redacted
    assert "/* don't */" in redacted
    assert "`c'd` = 1" in redacted
    assert redact_statement("SELECT 'unclosed secret") == "SELECT '***'"
    assert redact_statement("x" * 2000).endswith("(2000 characters)")


@pytest.mark.parametrize(
    ("name", "sensitive"),
    [
        ("password", True),
        ("Password", True),
        ("user.password", True),
        ("apiKey", True),
        ("token", True),
        ("tokenize", False),
        ("passworded_at", False),
        ("tokens_used", False),
        ("name", False),
    ],
)
def test_parameters_are_hidden_by_the_whole_name(name: str, sensitive: bool) -> None:
    assert Redactor().is_sensitive(name) is sensitive


def test_redacted_parameters() -> None:
    redactor = Redactor(extra=["nickName"], allow=["pin"], limit=10)
    named = redactor.parameters({"name": "Ann", "password": PASSWORD, "pin": 1, "nick_name": "A", "x": None})
    assert named == {"name": "'Ann'", "password": "***", "pin": "1", "nick_name": "***", "x": "None"}
    assert redactor.parameters(["Ann", PASSWORD], ["name", "password"]) == ["'Ann'", "***"]
    unknown: Any = redactor.parameters([PASSWORD, 3])
    assert unknown == ["<str>", "<int>"], "what nobody can name is not shown"
    assert redactor.parameters(["a" * 50], ["name"]) == ["'aaaaaaaaa... (52 characters)"]


def test_a_sensitive_column_hides_a_field_of_another_name() -> None:
    class Login(Model):
        proof: Field[str] = field(column="password_hash", max_length=10, primary_key=True)

    assert "s3cr3t" not in repr(Login(proof="s3cr3t"))
    with Engine("sqlite://") as engine, Session(engine) as session:
        create_all(engine, [Login])
        session.add(Login(proof="s3cr3t" * 2))
        with pytest.raises(ValidationError) as caught:
            session.flush()
        assert "s3cr3t" not in str(caught.value)
        session.rollback()
