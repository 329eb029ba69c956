"""Every code that is known, and what becomes of it: one table for each database."""

from __future__ import annotations

import sqlite3
from typing import Any, Optional

import pytest

from blaze import errors as e
from blaze_mysql import errors as mysql
from blaze_postgres import errors as postgres
from blaze_postgres.errors import Report
from blaze_sqlite import errors as sqlite

# What is raised, whether trying again can help, and the codes: of PostgreSQL first the classes.
POSTGRESQL: list[tuple[type[e.DatabaseError], bool, str]] = [
    (e.UniqueError, False, "23505 23P01"),
    (e.ForeignKeyError, False, "23503 23001"),
    (e.NotNullError, False, "23502"),
    (e.CheckError, False, "23514 44000"),
    (e.IntegrityError, False, "23 23000 40002"),
    (
        e.DataError,
        False,
        "21000 22 22000 22001 22003 22004 22007 22008 22012 22021 22023 22030 22032 22P02 22P03 22P05"
        " 2201B 2201E 2201F 2201W 2201X",
    ),
    (
        e.SQLSyntaxError,
        False,
        "3F000 42 42000 42601 42602 42622 42701 42702 42703 42710 42803 42804 42846 42883 42939 42P01 42P02"
        " 42P04 42P06 42P07 42P10 42P18",
    ),
    (e.SerializationError, True, "40001 72000"),
    (e.DeadlockError, True, "40P01"),
    (e.CommitOutcomeUnknownError, False, "08007 40003"),
    (e.TimeoutError, True, "55P03"),
    (e.TimeoutError, False, "57014"),
    (
        e.ConnectionLostError,
        True,
        "08 08000 08001 08003 08004 08006 08P01 25P03 25P04 53300 57P01 57P02 57P03 57P04 57P05",
    ),
    (e.DatabaseError, True, "26000"),
    (
        e.DatabaseError,
        False,
        "0A000 25 25001 25006 25P01 25P02 28 28000 28P01 2BP01 3B001 3D 3D000 40 40000 42501 53 53100 53200"
        " 53400 54 54000 54001 55 55000 55006 57 58 58030 P0 P0001 XX XX000 XX001 99999",
    ),
]
MYSQL: list[tuple[type[e.DatabaseError], bool, str]] = [
    (e.UniqueError, False, "1022 1062 1169 1557 1586 1761 1762"),
    (e.ForeignKeyError, False, "1216 1217 1451 1452"),
    (e.NotNullError, False, "1048 1263 1364"),
    (e.CheckError, False, "3819 4025"),
    (
        e.DataError,
        False,
        "1153 1242 1264 1265 1292 1300 1301 1365 1366 1367 1406 1411 1441 1525 1526 1690 1906 3105 3140 4038",
    ),
    (
        e.SQLSyntaxError,
        False,
        "1046 1050 1051 1052 1054 1055 1059 1060 1061 1064 1066 1067 1068 1071 1072 1074 1091 1093 1102 1103"
        " 1109 1111 1118 1128 1136 1140 1146 1166 1170 1222 1235 1241 1248 1305 1630",
    ),
    (e.DeadlockError, True, "1213 1614 3058"),
    (e.SerializationError, True, "1020 1180 1412 3101"),
    (e.TimeoutError, True, "1205 1689 3572"),
    (e.TimeoutError, False, "1969 3024"),
    (
        e.ConnectionLostError,
        True,
        "1040 1047 1053 1077 1080 1152 1156 1158 1159 1160 1161 1184 1203 1226 1927 2002 2003 2006 2013 2014"
        " 2027 2055 4031",
    ),
    (
        e.DatabaseError,
        False,
        "1005 1021 1037 1038 1044 1045 1114 1142 1143 1194 1215 1227 1290 1317 1370 1553 1792 1829 1833 1834"
        " 1836 9999",
    ),
]
SQLITE: list[tuple[type[e.DatabaseError], bool, str]] = [
    (e.UniqueError, False, "CONSTRAINT_UNIQUE CONSTRAINT_PRIMARYKEY CONSTRAINT_ROWID"),
    (e.ForeignKeyError, False, "CONSTRAINT_FOREIGNKEY"),
    (e.NotNullError, False, "CONSTRAINT_NOTNULL"),
    (e.CheckError, False, "CONSTRAINT_CHECK"),
    (e.IntegrityError, False, "CONSTRAINT CONSTRAINT_TRIGGER CONSTRAINT_COMMITHOOK"),
    (e.DataError, False, "CONSTRAINT_DATATYPE MISMATCH RANGE TOOBIG"),
    (e.SQLSyntaxError, False, "ERROR ERROR_MISSING_COLLSEQ"),
    (e.SerializationError, True, "BUSY_SNAPSHOT"),
    (e.TimeoutError, True, "BUSY BUSY_RECOVERY BUSY_TIMEOUT LOCKED LOCKED_SHAREDCACHE PROTOCOL"),
    (e.DatabaseError, True, "SCHEMA"),
    (
        e.DatabaseError,
        False,
        "ABORT ABORT_ROLLBACK AUTH CANTOPEN CANTOPEN_ISDIR CORRUPT CORRUPT_INDEX FULL INTERRUPT IOERR"
        " IOERR_READ IOERR_WRITE IOERR_FSYNC MISUSE NOMEM NOTADB PERM READONLY READONLY_DBMOVED",
    ),
]


class _Fake(sqlite3.OperationalError):
    """An error of SQLite with any code."""


def translate(backend: str, code: str) -> e.DatabaseError:
    """Translate a code without a telling text."""
    if backend == "postgresql":
        return postgres.translate(Report(code.ljust(5, "9"), "it failed"), "SELECT 1")
    if backend == "mysql":
        return mysql.translate(int(code), "it failed", "SELECT 1")
    fake: Any = _Fake("it failed")
    fake.sqlite_errorname = f"SQLITE_{code}"
    return sqlite.translate(fake, "SELECT 1")


ALL = [
    (backend, code, kind, retryable)
    for backend, table in (("postgresql", POSTGRESQL), ("mysql", MYSQL), ("sqlite", SQLITE))
    for kind, retryable, codes in table
    for code in codes.split()
]


@pytest.mark.parametrize("backend", ["postgresql", "mysql", "sqlite"])
def test_every_code_has_its_error(backend: str) -> None:
    wrong = []
    for of, code, kind, retryable in ALL:
        if of == backend:
            error = translate(backend, code)
            if (type(error), error.retryable) != (kind, retryable):
                wrong.append((code, type(error).__name__, error.retryable))
            assert error.code is not None
            assert "{" not in str(error)
            assert error.statement == "SELECT 1"
    assert wrong == []


def test_the_tables_name_all_that_are_known_and_at_least_sixty() -> None:
    named: dict[str, set[str]] = {"postgresql": set(), "mysql": set(), "sqlite": set()}
    for backend, code, _, _ in ALL:
        assert code not in named[backend], f"{code} stands in two lines"
        named[backend].add(code)
    known = {
        "postgresql": set(postgres._MEANINGS),
        "mysql": {str(code) for code in mysql._MEANINGS},
        "sqlite": {code[len("SQLITE_") :] for code in sqlite._MEANINGS},
    }
    for backend, codes in known.items():
        assert codes <= named[backend], sorted(codes - named[backend])
    assert len(ALL) >= 60


def test_on_a_lost_connection_every_code_is_a_lost_connection() -> None:
    """What a server says last says why; what counts is that the connection is gone."""
    for backend, code, kind, _ in ALL:
        if backend == "postgresql":
            error = postgres.translate(Report(code.ljust(5, "9"), "it failed"), "SELECT 1", lost=True)
        elif backend == "mysql":
            error = mysql.translate(int(code), "it failed", "SELECT 1", lost=True)
        else:
            continue
        unknown = kind is e.CommitOutcomeUnknownError
        assert type(error) is (e.CommitOutcomeUnknownError if unknown else e.ConnectionLostError), code
        assert error.retryable is not unknown


# What servers say, and the place that is read from it. MySQL 8 does not run here: these are its words.
PLACES: list[tuple[int, str, Optional[str], tuple[str, ...]]] = [
    (1062, "Duplicate entry 'x' for key 'uq_a'", "uq_a", ()),
    (1062, "Duplicate entry 'it''s for key 'k'' for key 'person.uq_a'", "uq_a", ()),
    (1048, "Column 'name' cannot be null", None, ("name",)),
    (1364, "Field 'name' doesn't have a default value", None, ("name",)),
    (1406, "Data too long for column 'name' at row 1", None, ("name",)),
    (1264, "Out of range value for column 'n' at row 1", None, ("n",)),
    (1366, "Incorrect integer value: 'x' for column `d`.`t`.`n` at row 1", None, ("n",)),
    (
        1452,
        "Cannot add or update a child row: a foreign key constraint fails (`d`.`t`, CONSTRAINT `fk_a`"
        " FOREIGN KEY (`a_id`, `b_id`) REFERENCES `a` (`id`, `b`))",
        "fk_a",
        ("a_id", "b_id"),
    ),
    (4025, "CONSTRAINT `ck_a` failed for `d`.`t`", "ck_a", ()),
    (3819, "Check constraint 'ck_a' is violated.", "ck_a", ()),
]


@pytest.mark.parametrize(("code", "text", "constraint", "columns"), PLACES)
def test_places_in_the_words_of_mysql_and_mariadb(
    code: int, text: str, constraint: Optional[str], columns: tuple[str, ...]
) -> None:
    error = mysql.translate(code, text, "INSERT INTO t VALUES (1)")
    assert (error.constraint, error.columns) == (constraint, columns)
    assert "'x'" not in str(error)


@pytest.mark.parametrize(
    ("term", "columns"),
    [
        (
            "pow(1e300,if(`d`.`t`.`a` = value(`d`.`t`.`a`),0,if(`d`.`t`.`w` = value(`d`.`t`.`w`),2,0)))",
            ("w",),
        ),
        (
            "pow(1e300,if((`d`.`t`.`a` = `blaze_new`.`a`),0,if(((`d`.`t`.`x` = `blaze_new`.`x`) and"
            " (`d`.`t`.`y` = `blaze_new`.`y`)),2,0)))",
            ("x", "y"),
        ),
        ("(pow(1e300,if((`d`.`t`.`a` = `blaze_new`.`a`),0,2)))", ()),
        ("pow(1e300,if(`d`.`t`.`a` = value(`d`.`t`.`a`),0,if(`d`.`t`.`w` = va", ()),
    ],
)
def test_a_conflict_with_another_key_than_the_named_one(term: str, columns: tuple[str, ...]) -> None:
    error = mysql.translate(1690, f"DOUBLE value is out of range in '{term}'", "INSERT INTO t VALUES (1)")
    assert isinstance(error, e.UniqueError)
    assert error.columns == columns
    assert f"the same value of {', '.join(columns) or 'another unique key'}, which is not" in str(error)


def test_other_numbers_out_of_range() -> None:
    error = mysql.translate(1690, "DOUBLE value is out of range in 'pow(`d`.`t`.`a`,2)'")
    assert isinstance(error, e.DataError)
