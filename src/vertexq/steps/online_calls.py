"""Online calls for some rows at once: each becomes a line of output, or is left for later."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from vertexq.errors import (
    ApiError,
    BadInput,
    BadSettings,
    Refused,
    Throttled,
    Unavailable,
    Unreachable,
    VertexqError,
)
from vertexq.families.online import Fields, OnlineWay, Verb, status_text
from vertexq.google.online import Online, OnlineAnswer
from vertexq.google.rest import NOT_MADE

_NOBODY_MAY = frozenset({401, 403, 404})
_BAD_REQUEST, _NO_ANSWER = 400, 504


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom the rows of a batch are sent to, and how.

    ``at_once`` calls are under way at the same time, each for at most ``deadline_s`` seconds. A dedicated
    endpoint has a host of its own.
    """

    online: Online
    way: OnlineWay
    name: str
    parameters: Fields
    at_once: int
    deadline_s: float
    dedicated_dns: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one row: its line of output, or the error because of which it has none yet.

    ``tries`` counts the requests that were answered or lost.
    """

    index: int
    line: bytes = b""
    error: VertexqError | None = None
    tries: int = 0

    @property
    def is_held(self) -> bool:
        """Tell whether the row was not sent: no connection, or the limits let nothing through."""
        return isinstance(self.error, Unreachable) or _is_unmade(self.error)


async def answered(
    target: Target, rows: Mapping[int, bytes], *, last: bool, some_were: bool
) -> Sequence[Outcome]:
    """Ask for each row's answer; an error that may pass leaves a row for later, unless this is the ``last``.

    Raise ``Refused`` when Google refuses every row because nobody may call: that is not the rows' fault.
    Where ``some_were`` answered before it is.
    """
    gate = asyncio.Semaphore(target.at_once)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_one(target, index, line, gate)) for index, line in rows.items()]
    done = [task.result() for task in tasks]
    refusals = [one.error for one in done if isinstance(one.error, Refused)]
    nobody_may = all(isinstance(one.error, Refused) and one.error.status in _NOBODY_MAY for one in done)
    if refusals and nobody_may and not some_were:
        raise refusals[0]
    return [_judged(target, one, rows[one.index], last=last) for one in done]


async def _one(target: Target, index: int, line: bytes, gate: asyncio.Semaphore) -> Outcome:
    async with gate:
        try:
            said = await _called(target, orjson.loads(line))
        except (ApiError, Unreachable, BadInput) as error:
            if isinstance(error, BadSettings):
                raise
            return Outcome(index=index, error=error)
    fields = target.way.answered(orjson.loads(line), said.body, _now())
    return Outcome(index=index, line=orjson.dumps(fields) + b"\n", tries=said.tries)


async def _called(target: Target, line: Fields) -> OnlineAnswer:
    online, name, deadline_s = target.online, target.name, target.deadline_s
    request = target.way.request(line)
    match target.way.verb:
        case Verb.GENERATE:
            host = target.dedicated_dns
            return await online.generate(name, request, deadline_s=deadline_s, dedicated_dns=host)
        case Verb.EMBED:
            return await online.embed(name, request, deadline_s=deadline_s)
        case Verb.PREDICT:
            return await online.predict(name, [request], target.parameters, deadline_s=deadline_s)


def _judged(target: Target, one: Outcome, line: bytes, *, last: bool) -> Outcome:
    """Return a row's failure as its line, when it is final: a refusal, a lost answer, or the last try."""
    error = one.error
    may_pass = isinstance(error, Throttled) or (isinstance(error, Unavailable) and error.status > 0)
    if error is None or one.is_held or (may_pass and not last):
        return one
    fields = target.way.failed(orjson.loads(line), _status(error), _now())
    return Outcome(index=one.index, line=orjson.dumps(fields) + b"\n")


def _status(error: VertexqError) -> str:
    if not isinstance(error, ApiError):
        return status_text(_BAD_REQUEST, "INVALID_ARGUMENT", str(error))
    if not error.status:
        message = "no answer came to three requests, each of which may have been paid for"
        return status_text(_NO_ANSWER, "DEADLINE_EXCEEDED", message)
    return status_text(error.status, error.code, error.said or str(error))


def _is_unmade(error: VertexqError | None) -> bool:
    return isinstance(error, ApiError) and error.code == NOT_MADE


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
