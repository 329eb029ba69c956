"""A TCP proxy that counts what it forwards, and does harm when told."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Optional

__all__ = ["Proxy", "Silence"]


class Proxy:
    """Forward connections to a server.

    ``lose`` is what a client must send for its connection to be cut: before it reaches the server, or after
    the server's answer has come (``answered``). With ``swap`` it is not cut: the server gets the first text
    in place of the client's, and the client the second in place of the server's answer. ``silent`` swallows
    everything, with the connections open. ``requests`` counts the pieces that came from clients.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.lose: Optional[bytes] = None
        self.answered = False
        self.swap: Optional[tuple[bytes, bytes]] = None
        self.silent = False
        self.requests = 0
        self.connections = 0
        self.lost = 0
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._pairs)

    def cut(self) -> None:
        """Cut all connections."""
        for pair in list(self._pairs):
            for each in pair:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Cut all connections and take no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(self._target)
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = (client, server)
            self._pairs.add(pair)
            thread = threading.Thread(target=self._forward, args=pair, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    if self.silent:
                        continue
                    if source is server:
                        client.sendall(data)
                        continue
                    self.requests += 1
                    if self.lose is None or self.lose not in data:
                        server.sendall(data)
                        continue
                    self.lose = None
                    self.lost += 1
                    if self.swap is not None:
                        server.sendall(self.swap[0])
                        server.recv(65536)
                        client.sendall(self.swap[1])
                        continue
                    if self.answered:
                        server.sendall(data)
                        server.recv(65536)
                    return
        except OSError:
            return
        finally:
            self._pairs.discard((client, server))
            client.close()
            server.close()


class Silence:
    """Listen at a port, take connections, and never say a word."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
