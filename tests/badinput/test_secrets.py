"""No message, `repr` or traceback shows the value of a sensitive field, a string literal or a DSN."""

from __future__ import annotations

import traceback
import uuid
from typing import Any, Callable, Optional

import pytest

from blaze import (
    ConfigurationError,
    Engine,
    Field,
    Insert,
    Model,
    Q,
    QueryError,
    Session,
    StaleDataError,
    Update,
    ValidationError,
    create_all,
    field,
)
from blaze.errors import BlazeError, SQLSyntaxError

H = "hunter2"


class SecretAcct(Model):
    name: Field[str] = field(default="")
    password: Field[Optional[str]] = field(default=None, max_length=10)
    api_token: Field[Optional[uuid.UUID]] = field(default=None)
    pin: Field[Optional[int]] = field(default=None)


class SecretTok(Model):
    token: Field[str] = field(primary_key=True, init=True)
    n: Field[int] = field(default=0)


def _stale(s: Session) -> None:
    s.add(SecretTok(token=H))
    s.commit()
    known = s.get_one(SecretTok, H)
    s.execute("delete from secret_tok")
    known.n = 3
    s.flush()


def _gone(s: Session) -> None:
    s.add(SecretTok(token=H))
    s.commit()
    known = s.get_one(SecretTok, H)
    s.execute("delete from secret_tok")
    s.refresh(known)


Acct = SecretAcct
CASES: dict[str, tuple[Callable[[Any], Any], type[BlazeError], str]] = {
    "query.update": (
        lambda s: s.query(Acct).where(Acct.id == 1).update(password=H * 3),
        QueryError,
        "password",
    ),
    "Update.set": (lambda s: s.exec(Update(Acct).set(pin=H).all_rows()), QueryError, r"secret_acct\.pin"),
    "on_conflict": (
        lambda s: s.exec(Insert(Acct).values(pin=1).on_conflict("id", update={"pin": H})),
        QueryError,
        r"secret_acct\.pin",
    ),
    "add": (
        lambda s: (s.add(Acct(api_token=H)), s.flush()),
        ValidationError,
        "api_token: a str that does not",
    ),
    "stale": (_stale, StaleDataError, r"key \*\*\*"),
    "gone": (_gone, BlazeError, r"key \*\*\*"),
    "get_one": (lambda s: s.get_one(SecretTok, H), BlazeError, r"key \*\*\*"),
    "wrong key": (lambda s: s.get(SecretTok, H.encode()), QueryError, "the key 'token' does not fit"),
    "query(object)": (lambda s: s.query(Acct(password=H)), QueryError, r"password=\*\*\*"),
    "where(object)": (lambda s: s.query(Acct).where(Acct(password=H)), QueryError, r"password=\*\*\*"),
    "include(object)": (lambda s: s.query(Acct).include(Acct(password=H)), QueryError, r"password=\*\*\*"),
    "isnull": (lambda s: s.query(Acct).filter(pin__isnull=H), QueryError, "not a str"),
    "range": (lambda s: s.query(Acct).filter(pin__range=H), QueryError, "not a str"),
    "open literal": (
        lambda s: s.execute(f"select * from secret_acct where password='{H}"),
        SQLSyntaxError,
        r"unrecognized token: \"'\*\*\*'\"",
    ),
    "blob": (lambda s: s.execute(f"select x'{H}'"), SQLSyntaxError, r"x'\*\*\*'"),
    "misplaced": (lambda s: s.execute(f"select from secret_acct '{H}'"), SQLSyntaxError, r"\*\*\*|from"),
}


@pytest.mark.requirement("R29")
@pytest.mark.parametrize("case", CASES)
def test_no_message_shows_the_value(case: str) -> None:
    run, kind, says = CASES[case]
    with Engine("sqlite://") as engine:
        create_all(engine, [SecretAcct, SecretTok])
        with Session(engine) as s:
            with pytest.raises(kind, match=says) as raised:
                run(s)
            s.rollback()
    assert H not in str(raised.value)


def test_no_repr_shows_the_value() -> None:
    made = SecretAcct(name="Ann", password=H)
    assert repr(made) == "SecretAcct(id=None, name='Ann', password=***, api_token=None, pin=None)"
    assert repr(Q(password=H) | Q(name="x")) == "Q(Q(password=***) OR Q(name='x'))"
    assert H not in repr(Q(owner__password__contains=H))
    with Engine("sqlite://") as engine:
        create_all(engine, [SecretAcct])
        with Session(engine) as s:
            s.add(made)
            s.commit()
            row = s.query(SecretAcct.name, SecretAcct.password).one()
            assert repr(row) == "Row(name='Ann', password=***)"
            assert row.password == H
            assert repr(s.execute("select password from secret_acct").one()) == "Row(password=***)"


@pytest.mark.parametrize(
    "replicas", [["postgresql://u:hunter2@h/d?colour=1"], "postgresql://u:hunter2@h/d", 5]
)
def test_no_frame_shows_the_dsn_of_a_replica(replicas: Any) -> None:
    try:
        Engine("sqlite://", replicas=replicas)
    except ConfigurationError as error:
        raised = error
    frames = traceback.TracebackException.from_exception(raised, capture_locals=True).stack
    shown = [
        value
        for frame in frames
        if not frame.name.startswith("test_")
        for value in (frame.locals or {}).values()
    ]
    assert shown
    assert not any(H in value for value in shown)
