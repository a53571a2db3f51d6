"""A look at the broker through the connection that producers and workers use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from vertexq.broker import producer_app
from vertexq.errors import Unreachable

CONNECT_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerLook:
    """What a Redis or Valkey says of itself; ``policy`` is its ``maxmemory-policy``."""

    server: str
    policy: str
    appends: bool


def look_at_broker(url: str) -> BrokerLook:
    """Ask the broker how it is set; raise ``Unreachable`` when it does not answer within seconds."""
    app = producer_app(url)
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_S)
            channel: Any = connection.default_channel
            channel.client.ping()
            server, memory, persistence = (
                channel.client.info(part) for part in ("server", "memory", "persistence")
            )
    except (KombuError, RedisError, OSError) as error:
        raise Unreachable(
            f"the broker does not answer ({type(error).__name__}); check VERTEXQ_BROKER_URL, its password, "
            "and that Redis or Valkey is running"
        ) from error
    finally:
        app.close()
    version = server.get("valkey_version") or server.get("redis_version") or "of unknown version"
    return BrokerLook(
        server=f"{server.get('server_name', 'redis')} {version}",
        policy=str(memory.get("maxmemory_policy", "unknown")),
        appends=persistence.get("aof_enabled") == 1,
    )
