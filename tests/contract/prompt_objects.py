"""Prompts in a simulated bucket and the answers read back, over plain HTTP."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
_LONGEST_S = 20.0
_PAUSE_S = 0.01


def prompt_row(text: str, **siblings: object) -> dict[str, object]:
    """Return an input row with one prompt, and whatever stands beside its request."""
    return {**siblings, "request": {"contents": [{"role": "user", "parts": [{"text": text}]}]}}


def put_rows(url: str, uri: str, rows: Sequence[Mapping[str, object]]) -> str:
    """Write rows as JSON lines to ``uri``; return the URI."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    query = urllib.parse.urlencode({"uploadType": "media", "name": name})
    body = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    fetch(f"{url}/upload/storage/v1/b/{bucket}/o?{query}", body)
    return uri


def read_rows(url: str, directory: str) -> list[dict[str, Any]]:
    """Return the rows of ``predictions.jsonl`` below a job's output directory."""
    bucket, _, prefix = directory.removeprefix("gs://").partition("/")
    name = urllib.parse.quote(f"{prefix}/predictions.jsonl", safe="")
    body = fetch(f"{url}/storage/v1/b/{bucket}/o/{name}?alt=media")
    return [json.loads(line) for line in body.split(b"\n") if line]


def fetch(url: str, data: bytes | None = None) -> bytes:
    """Get ``url``, or post ``data`` to it."""
    with urllib.request.urlopen(url, data) as answer:  # noqa: S310  (our own server)
        return bytes(answer.read())


def wait_for(look: Callable[[], T], until: Callable[[T], bool]) -> T:
    """Look until ``until`` is content with what is seen; fail with the last sight after 20 s."""
    over_s = time.monotonic() + _LONGEST_S
    while not until(seen := look()):
        assert time.monotonic() < over_s, f"after {_LONGEST_S} s still: {seen!r}"
        time.sleep(_PAUSE_S)
    return seen
