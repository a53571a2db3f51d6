"""Whom a submission's end is told: a Celery task of the producer's, or a webhook; how that stands. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from vertexq.errors import BadInput

DEFAULT_QUEUE = "celery"
"""Celery's own default (``task_default_queue``)."""

_TASK = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_-]+)*")
_QUEUE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]*")
_STORE = re.compile("[a-z0-9_]{1,100}")
_LONGEST = 200
_OURS = "vertexq."
_FORMS = "write a task's name (app.tasks.done), task@queue, or webhook:STORE for a store that is a webhook"


class Way(StrEnum):
    """How somebody is told; it begins a delivery's target."""

    TASK = "task"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A webhook store's name, or a Celery task and its queue."""

    way: Way
    name: str
    queue: str = ""

    @property
    def target(self) -> str:
        """Return how the ledger names it: ``webhook:results``, ``task:app.done@celery``."""
        return f"{self.way}:{self.name}@{self.queue}" if self.queue else f"{self.way}:{self.name}"

    @classmethod
    def of_target(cls, target: str) -> Recipient:
        """Read what ``target`` wrote."""
        way, _, name = target.partition(":")
        name, _, queue = name.partition("@")
        return cls(way=Way(way), name=name, queue=queue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How the deliveries of a submission to one target stand, in messages; ``reason`` is a failure's."""

    target: str
    waiting: int
    delivered: int
    abandoned: int
    reason: str


def recipient_of(on_complete: str) -> Recipient | None:
    """Read ``on_complete``; None when nobody is to be told, ``BadInput`` when it cannot be read.

    ``app.done`` goes to the queue ``celery``, ``app.done@reports`` to ``reports``, ``webhook:results`` to the
    address of the store called ``results``.
    """
    if not on_complete:
        return None
    way, colon, store = on_complete.partition(":")
    if colon and way == Way.WEBHOOK:
        if not _STORE.fullmatch(store):
            raise BadInput(f"on_complete {on_complete[:80]!r} names no store; {_FORMS}")
        return Recipient(way=Way.WEBHOOK, name=store)
    name, at, queue = on_complete.partition("@")
    if not _is_name(name, _TASK) or (at and not _is_name(queue, _QUEUE)):
        raise BadInput(f"on_complete {on_complete[:80]!r} cannot be told; {_FORMS}")
    if name.startswith(_OURS):
        raise BadInput(f"on_complete {name[:80]!r} is a task of vertexq's own; name one of yours")
    return Recipient(way=Way.TASK, name=name, queue=queue or DEFAULT_QUEUE)


def _is_name(text: str, pattern: re.Pattern[str]) -> bool:
    return len(text) <= _LONGEST and pattern.fullmatch(text) is not None
