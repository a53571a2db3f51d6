"""How a request becomes an input line, and where its echo is in an output line. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from vertexq.keys import fingerprint, wire_key

Fields = Mapping[str, Any]


def _request(row: Fields) -> object:
    return row.get("request")


def _never(_request: object) -> object:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """The form of a family's input lines.

    A line is ``head`` (up to where the key's text begins), the key and its closing quote, ``middle``, the
    request, ``tail``. With an empty ``key`` a line is the request itself: nothing but the echo of the request
    tells whose an answer is, and answers of equal requests belong to any of their rows.
    ``request_of`` takes the request out of a line that somebody else wrote, ``echo`` out of an output line;
    None when there is none. ``retyped`` is for keyless lines: it returns a request with one form for texts
    and numbers that the import may have made of each other, None when it holds none.
    """

    key: str = "key"
    head: bytes = b'{"key":"'
    middle: bytes = b',"request":'
    tail: bytes = b"}\n"
    request_of: Callable[[Fields], object] = field(default=_request)
    echo: Callable[[Fields], object] = field(default=_request)
    retyped: Callable[[object], object] = field(default=_never)

    @property
    def mark(self) -> bytes:
        """Return how a key of ours looks in an output line: looking for it is cheaper than parsing."""
        return self.head[1:] + b"r"

    @property
    def column(self) -> str:
        """Return what the column of a table with our keys is called, also where lines carry none."""
        return self.key or "key"

    def line(self, index: int, key: str, request: bytes) -> bytes:
        """Return the input line of row ``index``; staging a million of them has this written out."""
        if not self.key:
            return request + b"\n"
        return b"%b%b%b%b%b" % (
            self.head, orjson.dumps(wire_key(index, key))[1:], self.middle, request, self.tail,
        )  # fmt: skip

    def renamed(self, line: bytes, key: str, *, old: int, new: int) -> bytes:
        """Return a staged ``line`` (without its end) of row ``old`` as that of row ``new``, with its end.

        A line that is the producer's own gets a key of ours.
        """
        if not self.key:
            return line + b"\n"
        before, after = (self.head + orjson.dumps(wire_key(n, key))[1:] for n in (old, new))
        if line.startswith(before):
            return after + line[len(before) :] + b"\n"
        return self.line(new, key, orjson.dumps(self.request_of(orjson.loads(line))))

    def digest(self, row: Fields) -> bytes | None:
        """Return the fingerprint of the request that an output line echoes; None when it does not."""
        request = self.echo(row)
        return fingerprint(request) if request is not None else None

    def retyped_digest(self, request: object) -> bytes | None:
        """Return the fingerprint that a request shares with an echo in which texts became numbers."""
        form = self.retyped(request)
        return fingerprint(form) if form is not None else None


def parsed(line: bytes) -> dict[str, Any] | None:
    """Return a line as an object; None when it is none."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None
