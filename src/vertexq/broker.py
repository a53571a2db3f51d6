"""Hints through Celery: the one place in the library that speaks to the broker."""

from __future__ import annotations

import logging
from typing import Any

from celery import Celery
from kombu import Queue
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from vertexq.errors import Unreachable
from vertexq.names import QUEUE_OF, QueueName, TaskName

log = logging.getLogger(__name__)

KEY_PREFIX = "vertexq:"
"""Before every broker key, so that one Redis can serve several applications."""

TRANSPORT_OPTIONS: dict[str, Any] = {
    "global_keyprefix": KEY_PREFIX,
    "visibility_timeout": 900,
    "socket_timeout": 15,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
    # A message that cannot be sent now is sent by the sweeper later: one more try, no waiting about.
    "max_retries": 1,
    "interval_start": 0.0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
"""What producers and workers must agree on, and the time-outs without which a dead connection hangs."""


def queues() -> list[Queue]:
    """Return the queues as Celery wants them: the anonymous exchange, routed by name."""
    return [Queue(name.value, routing_key=name.value) for name in QueueName]


def producer_app(broker_url: str) -> Celery:
    """Return a private Celery app that only sends; it never becomes the current app of the process."""
    app = Celery("vertexq-producer", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_queues=queues(),
        task_create_missing_queues=False,
        task_default_exchange="",
        broker_transport_options=TRANSPORT_OPTIONS,
        broker_connection_timeout=5,
        task_send_sent_event=True,
    )
    return app


class CeleryHints:
    """Sends hints through a Celery app."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def send(self, task: TaskName, *args: str) -> None:
        """Send one hint; when the broker is away say so once and leave it to the sweeper."""
        try:
            self.send_or_raise(task, *args)
        except Unreachable as error:
            log.warning("hint %s not sent: %s", task.value, error)

    def send_or_raise(self, task: TaskName, *args: object) -> None:
        """Send one hint; raise ``Unreachable`` when the broker does not take it."""
        try:
            self._app.send_task(
                task.value,
                args=args,
                queue=QUEUE_OF[task].value,
                ignore_result=True,
                retry=False,
                argsrepr=repr(tuple(str(arg)[:80] for arg in args)),
            )
        except (KombuError, RedisError, OSError) as error:
            raise Unreachable(
                f"the broker did not take the message ({type(error).__name__}); check VERTEXQ_BROKER_URL "
                "and that Redis is running"
            ) from error

    def close(self) -> None:
        """Close the connections."""
        self._app.close()


class CeleryProducers:
    """Sends messages to the tasks of those who enqueue; their broker may be ours or another one.

    ``key_prefix`` is the ``global_keyprefix`` of their Celery app, which has none unless they set one.
    """

    def __init__(self, broker_url: str, *, key_prefix: str = "") -> None:
        self._app = Celery("vertexq-tells", broker=broker_url, set_as_current=False)
        self._app.conf.update(
            task_serializer="json",
            task_ignore_result=True,
            broker_transport_options={**TRANSPORT_OPTIONS, "global_keyprefix": key_prefix},
            broker_connection_timeout=5,
        )

    def tell(self, task: str, queue: str, message_id: str, event: dict[str, Any]) -> None:
        """Send ``event`` to a task as its keyword ``event``; raise ``Unreachable`` when it is not taken."""
        to: dict[str, Any] = {"queue": Queue(queue, routing_key=queue)}  # the types know names only
        try:
            self._app.send_task(
                task,
                kwargs={"event": event},
                task_id=message_id,
                **to,
                ignore_result=True,
                retry=False,
                argsrepr="()",
                kwargsrepr=message_id,
            )
        except (KombuError, RedisError, OSError) as error:
            raise Unreachable(
                f"the producers' broker did not take the message ({type(error).__name__}); check "
                "VERTEXQ_PRODUCER_BROKER_URL (default: VERTEXQ_BROKER_URL) and that Redis is running"
            ) from error

    def close(self) -> None:
        """Close the connections."""
        self._app.close()
