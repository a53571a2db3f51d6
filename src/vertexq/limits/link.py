"""The way to Redis for limits: short time-outs, no waiting about while it is away, one log line an outage."""
# redis-py's types are partly unknown to pyright; Redis stays in this module and in the broker's.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any, Self, TypeVar, cast

import structlog
from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError

from vertexq.errors import Unreachable

T = TypeVar("T")

PREFIX = "vertexq:"
TIME_OUT_S = 2.0
REST_S = 1.0
_TIMES_A_PAGE = 500

log = structlog.get_logger(__name__)


class Link:
    """One client for a process and its event loop; connects when it is first asked. Close it with ``aclose``.

    Connecting and answering take at most ``time_out_s`` each. After a failure Redis is left alone for
    ``rest_s``: whoever asks meanwhile gets ``Unreachable`` at once. Without ``warn`` nothing is logged.
    """

    def __init__(
        self, url: str, *, time_out_s: float = TIME_OUT_S, rest_s: float = REST_S, warn: bool = True
    ) -> None:
        self._redis = redis.Redis.from_url(
            redis_url(url),
            decode_responses=True,
            socket_connect_timeout=time_out_s,
            socket_timeout=time_out_s,
            # one more try, at once, on a new connection: a kept one ends when Redis is restarted
            retry=Retry(NoBackoff(), 1, supported_errors=(NoConnection,)),
        )
        self._rest_s = rest_s
        self._warn = warn
        self._away_until_s = 0.0
        self._is_away = False
        self._scripts: dict[str, Any] = {}

    async def run(self, text: str, key: str, args: Sequence[str | int]) -> list[int]:
        """Run a script on one key; return its whole numbers. Raise ``Unreachable``."""
        if text not in self._scripts:
            self._scripts[text] = self._redis.register_script(text)
        answer: Coroutine[Any, Any, list[int]] = self._scripts[text](keys=[key], args=args)
        return await self._asked(answer)

    async def hashes(self, prefix: str) -> dict[str, dict[str, str]]:
        """Return every hash whose key begins with ``prefix``, by the rest of its key. Raise ``Unreachable``.

        They are looked for page by page, so that Redis goes on serving others.
        """
        keys = sorted(await self._asked(self._keys(prefix)))
        return {key.removeprefix(prefix): await self._asked(self._hash(key)) for key in keys}

    async def now_us(self) -> int:
        """Return Redis's clock, in microseconds. Raise ``Unreachable``."""
        seconds, micros = await self._asked(self._time())
        return int(seconds) * 1_000_000 + int(micros)

    async def aclose(self) -> None:
        """Close the connections. Safe to repeat."""
        await self._redis.aclose()

    async def __aenter__(self) -> Self:
        """Connect later, when something is asked."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.aclose()

    async def _keys(self, prefix: str) -> list[str]:
        found = self._redis.scan_iter(match=f"{prefix}*", count=_TIMES_A_PAGE)
        return [cast("str", key) async for key in found]

    async def _hash(self, key: str) -> dict[str, str]:
        return await cast("Awaitable[dict[str, str]]", self._redis.hgetall(key))

    async def _time(self) -> tuple[int, int]:
        return await self._redis.time()

    async def _asked(self, answer: Coroutine[Any, Any, T]) -> T:
        try:
            async with self._watched():
                return await answer
        finally:
            answer.close()  # when nobody was asked

    @asynccontextmanager
    async def _watched(self) -> AsyncGenerator[None]:
        """Turn redis-py's errors into ``Unreachable``, and note when an outage begins and ends."""
        now_s = asyncio.get_running_loop().time()
        if self._is_away and now_s < self._away_until_s:
            raise _unreachable("it did not answer a moment ago")
        try:
            yield
        except (RedisError, OSError) as error:
            self._note_away(type(error).__name__)
            raise _unreachable(type(error).__name__) from error
        if self._is_away and self._warn:
            log.info("limits_reachable_again")
        self._is_away = False

    def _note_away(self, why: str) -> None:
        if self._warn and not self._is_away:
            log.warning("limits_unreachable", error=why, effect="creates wait, reads go on slowly")
        self._is_away = True
        self._away_until_s = asyncio.get_running_loop().time() + self._rest_s


def script(name: str, /, **names: str | Sequence[str] | int) -> str:
    """Return the text of ``name``.lua with these values before it, as local variables."""
    lines = [f"local {variable} = {_literal(value)}\n" for variable, value in names.items()]
    return "".join(lines) + files("vertexq.limits").joinpath(f"{name}.lua").read_text()


def _literal(value: str | Sequence[str] | int) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    return str(value) if isinstance(value, int) else "{" + ", ".join(map(_literal, value)) + "}"


def _unreachable(why: str) -> Unreachable:
    return Unreachable(
        f"the limits on calls cannot be asked ({why}); no paid call is made until Redis answers: "
        "check VERTEXQ_BROKER_URL"
    )


def redis_url(url: str) -> str:
    """Turn a Celery broker URL into redis-py's form: ``redis+socket:///p?virtual_host=1`` and the like."""
    for word in ("none", "optional", "required"):
        url = url.replace(f"ssl_cert_reqs=CERT_{word.upper()}", f"ssl_cert_reqs={word}")
    if not url.startswith("redis+socket://"):
        return url
    path, _, query = url.removeprefix("redis+socket://").partition("?")
    return f"unix://{path}?{query.replace('virtual_host=', 'db=')}" if query else f"unix://{path}"
