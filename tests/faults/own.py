"""Servers of a test's own, which ask for passwords and may be stopped, frozen and killed.

They are started from the programs of this machine in a folder of their own.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

from blaze import BlazeError, Engine
from tests.support.servers import _as_user, _free_port, _program

__all__ = ["PASSWORD", "OwnServer", "own_mariadb", "own_postgres"]

PASSWORD = "hunter2-Tr0ub4dor"
_SECONDS = 30.0


class OwnServer:
    """One server: its DSN without a database (`{}` stands for `user:password`), and its process."""

    def __init__(
        self, command: list[str], dsn: str, database: str, log: Path, options: dict[str, Any]
    ) -> None:
        self._command = command
        self._dsn = dsn
        self._log = log
        self._options = options
        self.database = database
        self._process: Optional[subprocess.Popen[bytes]] = None

    def dsn(self, user: str = "admin", password: str = PASSWORD, database: Optional[str] = None) -> str:
        """Give a DSN for a user."""
        return self._dsn.format(f"{user}:{password}") + "/" + (database or self.database)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._launch()
        assert self._process is not None
        deadline = time.monotonic() + _SECONDS
        while True:
            try:
                with Engine(self.dsn()) as engine, engine.connection() as connection:
                    connection.execute("SELECT 1")
                return
            except BlazeError as error:
                if time.monotonic() > deadline:
                    text = self._log.read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"{self._command[0]} does not start: {error}\n{text}") from None
                if self._process.poll() is not None:  # what is left of the last one is in its way
                    self._launch()
                time.sleep(0.05)

    def _launch(self) -> None:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=subprocess.STDOUT, **self._options
            )

    def kill(self) -> None:
        """Kill it as a crash does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_SECONDS)


def _options(user: str, folder: Path) -> dict[str, Any]:
    return {**_as_user(user, folder), "cwd": folder}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="blaze-own-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:  # what is left of a killed server may still be writing
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def own_postgres() -> Iterator[OwnServer]:
    """Start a PostgreSQL that asks for passwords and offers no TLS."""
    places = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin")
    initdb, program = _program("initdb", *places), _program("postgres", *places)
    if initdb is None or program is None:
        pytest.skip("NO PROGRAMS OF POSTGRESQL: install initdb and postgres")
    with _folder() as folder:
        options = _options("postgres", folder)
        data, port, secret = folder / "data", _free_port(), folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        subprocess.run(
            [initdb, "-D", str(data), "-U", "admin", "-A", "scram-sha-256", f"--pwfile={secret}",
             "-E", "UTF8", "--no-sync", "--no-instructions"],
            check=True, capture_output=True, **options,
        )  # fmt: skip
        command = [
            program, "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-F",
            "-c", "shared_buffers=16MB", "-c", "autovacuum=off",
        ]  # fmt: skip
        dsn = f"postgresql://{{}}@127.0.0.1:{port}"
        server = OwnServer(command, dsn, "postgres", folder / "log", options)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@contextlib.contextmanager
def own_mariadb() -> Iterator[OwnServer]:
    """Start a MariaDB that asks for passwords and offers no TLS."""
    places = ("/usr/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")
    install, program = _program("mariadb-install-db", *places), _program("mariadbd", *places)
    if install is None or program is None:
        pytest.skip("NO PROGRAMS OF MARIADB: install mariadb-install-db and mariadbd")
    with _folder() as folder:
        options = _options("mysql", folder)
        data, port, start = folder / "data", _free_port(), folder / "init.sql"
        common = ["--no-defaults", f"--datadir={data}"]
        subprocess.run(
            [install, *common, "--auth-root-authentication-method=normal", "--skip-test-db",
             "--skip-name-resolve"],
            check=True, capture_output=True, **options,
        )  # fmt: skip
        start.write_text(
            f"CREATE USER IF NOT EXISTS admin@'%' IDENTIFIED BY '{PASSWORD}';"
            "\nGRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION;\nCREATE DATABASE IF NOT EXISTS own;\n"
        )
        start.chmod(0o644)
        command = [
            program, *common, "--bind-address=127.0.0.1", f"--port={port}", f"--socket={folder}/socket",
            f"--pid-file={folder}/pid", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0",
            f"--init-file={start}", "--skip-name-resolve", "--skip-ssl",
        ]  # fmt: skip
        dsn = f"mysql://{{}}@127.0.0.1:{port}"
        server = OwnServer(command, dsn, "own", folder / "log", options)
        try:
            server.start()
            yield server
        finally:
            server.kill()
