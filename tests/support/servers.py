"""Find database servers for the tests, or start them, and lend databases in them.

A server is looked for in the environment (`BLAZE_TEST_POSTGRES`, `BLAZE_TEST_MYSQL`: a DSN whose user may
create databases), then at its usual local port, then among the programs of this machine and in the packages
of this environment (pgserver), which are started in a folder of their own. Where there is none the test is
skipped, which fails where CI=true.
"""

from __future__ import annotations

import contextlib
import getpass
import glob
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional
from urllib.parse import urlsplit, urlunsplit

import pytest

from blaze import BlazeError, Engine, plugins

__all__ = ["mysql_database", "pgbouncer", "postgres_database"]

_START_SECONDS = 30.0


@contextlib.contextmanager
def postgres_database(scheme: str = "postgresql") -> Iterator[str]:
    """Lend an empty PostgreSQL database of its own to a test: give its DSN, and drop it at the end."""
    users = dict.fromkeys([getpass.getuser(), "postgres"])
    local = [f"postgresql://{user}@127.0.0.1:5432/postgres" for user in users]
    statements = 'CREATE DATABASE "{}"', 'DROP DATABASE "{}" WITH (FORCE)'
    server = _server("PostgreSQL", "BLAZE_TEST_POSTGRES", local, _own_postgres)
    with server as dsn, _database(dsn, scheme, *statements) as found:
        yield found


@contextlib.contextmanager
def pgbouncer(dsn: str, sessions: int = 1) -> Iterator[str]:
    """Start PgBouncer in transaction mode before a PostgreSQL database; give the DSN of the way through it.

    All clients share so many sessions of the server.
    """
    program = _program("pgbouncer", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin")
    if program is None:
        pytest.skip("NO PGBOUNCER: install it to test what goes through a pooler")
    parts = urlsplit(dsn)
    user = parts.username or getpass.getuser()
    with tempfile.TemporaryDirectory(prefix="blaze-pooler-") as name:
        folder, port = Path(name), _free_port()
        options = _as_user("postgres", folder)
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={parts.hostname} port={parts.port or 5432}\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\n"
            f"auth_file = {folder}/users\npool_mode = transaction\ndefault_pool_size = {sessions}\n"
        )
        (folder / "users").write_text(f'"{user}" "{parts.password or ""}"\n')
        os.chmod(folder, 0o755)
        through = urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{port}", query="pgbouncer=true"))
        command = [program, "-q", str(folder / "pgbouncer.ini")]
        with _running(command, through, folder / "log", {**options, "cwd": folder}) as found:
            yield found


@contextlib.contextmanager
def mysql_database(scheme: str = "mysql") -> Iterator[str]:
    """Lend an empty MySQL or MariaDB database of its own to a test: give its DSN, and drop it at the end."""
    users = dict.fromkeys([getpass.getuser(), "root"])
    local = [f"mysql://{user}@127.0.0.1:3306/" for user in users]
    server = _server("MySQL", "BLAZE_TEST_MYSQL", local, _own_mariadb)
    with server as dsn, _database(dsn, scheme, "CREATE DATABASE `{}`", "DROP DATABASE `{}`") as found:
        yield found


@contextlib.contextmanager
def _server(name: str, variable: str, local: list[str], start: Callable[[Path], Any]) -> Iterator[str]:
    try:
        plugins.backend(name.lower())
    except BlazeError as error:
        pytest.skip(f"NO BACKEND FOR {name.upper()}: {error}")
    given = os.environ.get(variable)
    if given:  # what is asked for must be there: no other is taken in its place
        _execute(given, "SELECT 1")
        yield given
        return
    for dsn in local:
        if _answers(dsn):
            yield dsn
            return
    with tempfile.TemporaryDirectory(prefix="blaze-server-") as folder, contextlib.ExitStack() as stack:
        os.chmod(folder, 0o755)
        found = stack.enter_context(start(Path(folder)))
        if found is None:
            pytest.skip(f"NO {name.upper()} SERVER: set {variable} to a DSN, or install and start one")
        yield found


def _answers(dsn: str) -> bool:
    try:
        _execute(dsn, "SELECT 1")
    except BlazeError:
        return False
    return True


def _execute(dsn: str, sql: str) -> None:
    with Engine(dsn, pool_size=1) as engine, engine.connection() as connection:
        connection.execute(sql)


@contextlib.contextmanager
def _database(dsn: str, scheme: str, create: str, drop: str) -> Iterator[str]:
    name = f"blaze_test_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    parts = urlsplit(dsn)
    _execute(dsn, create.format(name))
    try:
        yield urlunsplit(parts._replace(scheme=scheme, path=f"/{name}"))
    finally:
        _execute(dsn, drop.format(name))


def _program(name: str, *folders: str) -> Optional[str]:
    found = shutil.which(name)
    if found:
        return found
    candidates = sorted(path for folder in folders for path in glob.glob(f"{folder}/{name}"))
    return candidates[-1] if candidates else None


def package_folder(name: str) -> Path:
    """Give the folder of an installed package, without importing it; one without files if there is none."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin else Path("no-such-folder")


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _as_user(name: str, folder: Path) -> dict[str, Any]:
    """Servers refuse to run as root: run them as their own user, or as nobody."""
    if os.getuid() != 0:
        return {}
    import pwd

    for user in (name, "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    return {}


@contextlib.contextmanager
def _running(command: list[str], dsn: str, log: Path, options: dict[str, Any]) -> Iterator[str]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(dsn):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield dsn
    finally:
        process.terminate()
        process.wait(_START_SECONDS)


@contextlib.contextmanager
def _own_postgres(folder: Path) -> Iterator[Optional[str]]:
    places = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin")
    if not any(glob.glob(f"{place}/initdb") for place in places):
        places = (f"{package_folder('pgserver')}/pginstall/bin",)
    initdb, server = _program("initdb", *places), _program("postgres", *places)
    if initdb is None or server is None:
        yield None
        return
    options = _as_user("postgres", folder)
    data, port = folder / "data", _free_port()
    subprocess.run(
        [initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
        check=True,
        capture_output=True,
        cwd=folder,
        **options,
    )
    command = [server, "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-F"]
    dsn = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    with _running(command, dsn, folder / "log", {**options, "cwd": folder}) as found:
        yield found


@contextlib.contextmanager
def _own_mariadb(folder: Path) -> Iterator[Optional[str]]:
    places = ("/usr/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")
    install = _program("mariadb-install-db", *places)
    server = _program("mariadbd", *places)
    if install is None or server is None:
        yield None
        return
    options = _as_user("mysql", folder)
    data, port = folder / "data", _free_port()
    common = ["--no-defaults", f"--datadir={data}"]
    subprocess.run(
        [install, *common, "--auth-root-authentication-method=normal", "--skip-test-db"],
        check=True,
        capture_output=True,
        cwd=folder,
        **options,
    )
    command = [
        server, *common, "--bind-address=127.0.0.1", f"--port={port}", f"--socket={folder}/socket",
        f"--pid-file={folder}/pid", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0",
    ]  # fmt: skip
    with _running(
        command, f"mysql://root@127.0.0.1:{port}/", folder / "log", {**options, "cwd": folder}
    ) as dsn:
        yield dsn
