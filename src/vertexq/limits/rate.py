"""Creates a minute, over all workers together: a GCRA bucket in Redis, on Redis's own clock."""
# redis-py's types are partly unknown to pyright; Redis stays in this module and in the broker's.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from importlib.resources import files

import redis

from vertexq.errors import Unreachable
from vertexq.limits.base import CallClass, Verdict

_CONNECT_S, _ANSWER_S = 5.0, 5.0


class RedisCreateLimit:
    """Lets ``per_minute`` creates a minute through to each project and location, one after the other.

    The bucket holds one: creates are spaced evenly, so that no minute, wherever it begins, sees more.
    """

    def __init__(self, url: str, *, per_minute: int, prefix: str = "vertexq:") -> None:
        self._redis = redis.Redis.from_url(
            _redis_url(url), socket_connect_timeout=_CONNECT_S, socket_timeout=_ANSWER_S
        )
        self._take = self._redis.register_script(files("vertexq.limits").joinpath("gcra.lua").read_text())
        self._interval_us = round(60_000_000 / per_minute)
        self._prefix = prefix

    async def take(self, project: str, location: str, call: CallClass) -> float:
        """Take one call; return 0.0, or the seconds to wait when none is left."""
        key = f"{self._prefix}limit:{call}:{project}:{location}"
        try:
            allowed, wait_us = self._take(keys=[key], args=[self._interval_us, 1, 1])
        except redis.RedisError as error:
            raise Unreachable(
                f"the limit on creates cannot be asked ({type(error).__name__}); no paid call is made until "
                "Redis answers: check VERTEXQ_BROKER_URL"
            ) from error
        return 0.0 if allowed else max(int(wait_us) / 1e6, 0.001)

    async def tell(
        self,
        project: str,
        location: str,
        call: CallClass,
        verdict: Verdict,
        *,
        retry_after_s: float | None = None,
    ) -> None:
        """Take note of nothing yet."""

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()


def _redis_url(url: str) -> str:
    """Turn a Celery broker URL into redis-py's form: ``redis+socket:///p?virtual_host=1`` and the like."""
    if not url.startswith("redis+socket://"):
        return url
    path, _, query = url.removeprefix("redis+socket://").partition("?")
    return f"unix://{path}?{query.replace('virtual_host=', 'db=')}" if query else f"unix://{path}"
