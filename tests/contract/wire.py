"""A wire to PostgreSQL that can lose the answer to a COMMIT, or hold up a COPY in the middle of its rows."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

_COMMIT = re.compile(rb"COMMIT\s*\0")
_COPY = re.compile(rb"COPY [^\0]*FROM STDIN")


@dataclass
class Wire:
    """A TCP proxy before the server at ``server_port``; use it as a context.

    With ``cut_every`` N it hangs up in place of the answer to every Nth COMMIT, which has taken effect (0:
    never). With ``hold_after_bytes`` a COPY gets no further than that and ``held`` is set.
    """

    server_port: int
    port: int = 0
    cut_every: int = 0
    cuts: int = 0
    hold_after_bytes: int | None = None
    held: threading.Event = field(default_factory=threading.Event)
    _commits: int = 0
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _threads: list[threading.Thread] = field(default_factory=list[threading.Thread])

    def through(self, url: str) -> str:
        """Return the server's URL with this wire's port."""
        return url.replace(f":{self.server_port}/", f":{self.port}/")

    def __enter__(self) -> Self:
        """Listen."""
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening and wait until both sides have hung up."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _start(self, target: object, *arguments: object) -> None:
        assert callable(target)
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    upstream = socket.create_connection(("127.0.0.1", self.server_port))
                except OSError:  # the server is down
                    client.close()
                    continue
                committing = threading.Event()
                self._start(self._to_server, client, upstream, committing)
                self._start(self._to_client, upstream, client, committing)

    def _to_server(self, client: socket.socket, upstream: socket.socket, committing: threading.Event) -> None:
        copied: int | None = None
        with client, suppress(OSError):
            while data := client.recv(65536):
                if _COMMIT.search(data):
                    self._commits += 1
                    if self.cut_every and self._commits % self.cut_every == 0:
                        self.cuts += 1
                        committing.set()
                copied = 0 if _COPY.search(data) else copied
                if copied is not None and self.hold_after_bytes is not None:
                    copied += len(data)
                    if copied > self.hold_after_bytes:
                        self.held.set()
                        continue
                upstream.sendall(data)
            upstream.shutdown(socket.SHUT_WR)

    def _to_client(self, upstream: socket.socket, client: socket.socket, committing: threading.Event) -> None:
        with upstream, suppress(OSError):
            while data := upstream.recv(65536):
                if committing.is_set():
                    client.shutdown(socket.SHUT_RDWR)  # the server has committed; nobody will hear of it
                    return
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
