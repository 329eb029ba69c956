"""Connections to Redis that end within a time, whatever the network and the server do."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any, Callable

import redis
from redis.exceptions import NoScriptError, RedisError

from blaze_cache_redis.requests import Request, run_of
from blaze_cache_redis.settings import Settings

__all__ = ["Link"]


class Link:
    """One open connection; `run` tells the run of the server it goes to."""

    def __init__(self, settings: Settings) -> None:
        """Connect and log in, within the time of the settings; raises what redis-py raises."""
        self.connection = settings.connection(_KINDS, settings.timeout)
        self.connection.end = time.monotonic() + settings.timeout
        problem = None
        try:
            self.connection.connect()
            self.connection.send_command("INFO", "server")
            self.run = run_of(self.connection.read_response())
        except RedisError as error:
            problem = type(error)(*error.args)
        except BaseException:
            self.close()
            raise
        if problem is not None:  # raised from here: the frames of the login hold the password
            self.close()
            raise problem

    def ask(self, request: Request, timeout: float) -> Any:
        """Return the answer to a request, within so many seconds."""
        connection = self.connection
        connection.end = time.monotonic() + timeout
        connection.send_command(*request.command(self.run))
        try:
            return connection.read_response()
        except NoScriptError:
            connection.send_command(*request.command(self.run, known=False))
            return connection.read_response()

    def close(self) -> None:
        """Close the connection."""
        self.connection.disconnect()


class _Bounded:
    """A connection of redis-py whose waiting ends at the moment `end` of the monotonic clock.

    The time-outs of redis-py hold for each packet, and not at all for finding the address of a host.
    """

    end = 0.0

    def _connect(self) -> Any:
        connect: Callable[[], Any] = super()._connect  # type: ignore[misc]
        return _BoundedSocket(_call_within(connect, self.end - time.monotonic()), self)


class _BoundedSocket:
    """A socket that asks its connection how long it may wait."""

    def __init__(self, inner: Any, owner: _Bounded) -> None:
        self._inner = inner
        self._owner = owner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def settimeout(self, seconds: Any) -> None:
        """Do nothing: the moment of the end counts."""

    def recv(self, *arguments: Any) -> Any:
        self._limit()
        return self._inner.recv(*arguments)

    def recv_into(self, *arguments: Any) -> Any:
        self._limit()
        return self._inner.recv_into(*arguments)

    def sendall(self, data: Any) -> None:
        self._limit()
        self._inner.sendall(data)

    def _limit(self) -> None:
        left = self._owner.end - time.monotonic()
        if left <= 0:
            raise socket.timeout("timed out")
        self._inner.settimeout(left)


class _Tcp(_Bounded, redis.Connection):
    pass


class _Tls(_Bounded, redis.SSLConnection):
    pass


class _Unix(_Bounded, redis.UnixDomainSocketConnection):
    pass


_KINDS: dict[str, Callable[..., Any]] = {"tcp": _Tcp, "tls": _Tls, "unix": _Unix}


def _call_within(connect: Callable[[], Any], seconds: float) -> Any:
    """Return the socket that a function opens; one that comes too late is closed."""
    result: list[Any] = []
    failure: list[BaseException] = []
    lock = threading.Lock()
    done = threading.Event()
    late = False

    def run() -> None:
        opened = None
        try:
            opened = connect()
        except BaseException as error:
            failure.append(error)
        with lock:
            if opened is not None:
                if late:
                    opened.close()
                else:
                    result.append(opened)
            done.set()

    threading.Thread(target=run, name="blaze-cache-redis connect", daemon=True).start()
    done.wait(max(seconds, 0.0))
    with lock:
        late = not done.is_set()
    if late:
        raise socket.timeout("timed out")
    if failure:
        raise failure[0]
    return result[0]
