"""What a model family is: a few pure functions and limits. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vertexq.check.base import FieldRules
from vertexq.rows import Read, ReadContext


class NoRequest(ValueError):
    """A row holds no request of this family; the text says what was expected, without quoting the row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One kind of model and the lines it reads and writes.

    ``request`` turns what a producer passed for one row (a text or an object) into the request that is sent,
    or raises ``NoRequest``. ``read`` turns an output line into an answer; ``reading`` makes such a reader for
    what one submission wants of its answers. ``check`` holds the family's rules
    for requests; ``estimate`` returns (input tokens, most output tokens, 0 without a limit) of a request.
    """

    name: str
    example: str
    accepts: Callable[[str], bool]
    request: Callable[[str | Mapping[str, Any]], Mapping[str, Any]]
    read: Read
    reading: Callable[[ReadContext], Read]
    rows_limit: int
    input_limit_bytes: int
    check: FieldRules
    estimate: Callable[[Mapping[str, Any]], tuple[int, int]]
