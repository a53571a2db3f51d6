"""What happens to a submission, as events: moves of it and of its batches, and rows that have landed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from vertexq.errors import BadInput
from vertexq.ledger import Ledger, Record
from vertexq.ledger.trail import PAGE, Horizon, Trail, TrailLine
from vertexq.model import Counts
from vertexq.results import Outcome
from vertexq.states import SUBMISSION_RESTING
from vertexq.status import Status, status_of

_OUTCOMES = tuple(one.name for one in fields(Counts))
_RESTING = frozenset(state.value for state in SUBMISSION_RESTING)


class EventKind(StrEnum):
    """What an event is about."""

    SUBMISSION = "submission"  # it moved to another state
    BATCH = "batch"  # one of its batches did
    ROWS = "rows"  # more rows are in the store, or better ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. ``cursor`` is what to pass as ``after`` to go on behind this event.

    ``counts`` are the rows in the store by outcome, as last known; ``from_state`` is empty for what is new.
    """

    at: datetime
    kind: EventKind
    id: str
    state: str
    from_state: str
    reason: str
    counts: Counts
    cursor: str

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``vertexq watch --events --json`` prints."""
        return {
            "at": self.at.isoformat(),
            "kind": self.kind.value,
            "id": self.id,
            "state": self.state,
            "from_state": self.from_state,
            "reason": self.reason,
            "rows": {outcome.value: getattr(self.counts, outcome.value) for outcome in Outcome},
            "cursor": self.cursor,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """What was told: every line up to ``upto``, the lines ``beyond`` it, and the counts last told."""

    upto: int = 0
    beyond: frozenset[int] = frozenset()
    counts: Counts = field(default_factory=Counts)

    def __str__(self) -> str:
        """Write it down: ``17::40,0,2,0,0``."""
        beyond = ",".join(map(str, sorted(self.beyond)))
        return f"{self.upto}:{beyond}:{','.join(map(str, astuple(self.counts)))}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read what ``str`` wrote; raise ``BadInput`` for anything else."""
        try:
            upto, beyond, counts = text.split(":")
            told = dict(zip(_OUTCOMES, map(int, counts.split(",")), strict=True))
            numbers = map(int, beyond.split(",")) if beyond else ()
            return cls(upto=int(upto), beyond=frozenset(numbers), counts=Counts(**told))
        except ValueError:
            raise BadInput(f"{text[:80]!r} is no cursor; pass the cursor of an event, as it was") from None

    def with_line(self, number: int, final: int) -> Cursor:
        """Return the cursor after a line was told; up to ``final`` no line can appear any more."""
        if number > final:
            return replace(self, beyond=self.beyond | {number})
        return self.at_least(number)

    def at_least(self, number: int) -> Cursor:
        """Return the cursor when everything up to ``number`` has been told."""
        if number <= self.upto:
            return self
        return replace(self, upto=number, beyond=frozenset(one for one in self.beyond if one > number))


class EventStream:
    """The events of one submission, look by look.

    It has ``ended`` when nothing more happens by itself; when it ``has_more``, look again at once.
    """

    def __init__(self, ledger: Ledger, submission_id: str, *, after: str = "") -> None:
        self.ended = False
        self.has_more = False
        self._ledger = ledger
        self._id = submission_id
        self._cursor = Cursor.parse(after) if after else Cursor()
        self._pulse: tuple[object, ...] | None = None
        self._horizon: Horizon | None = None
        self._unsure = True

    def look(self) -> list[Event]:
        """Return what has happened since the last look; cheap when nothing has."""
        pulse = self._ledger.pulse(self._id)
        if pulse == self._pulse and not self._unsure:
            return []
        self._pulse = pulse
        status = self._status()
        limit = PAGE + len(self._cursor.beyond)  # those were told, and are read once more
        trail = self._ledger.trail(self._id, after=self._cursor.upto, known=self._horizon, limit=limit)
        fresh = [line for line in trail.lines if line.id not in self._cursor.beyond]
        if any(_rests(line) for line in fresh):
            status = self._status()  # it may have moved in between: its counts come before its end
        events = list(self._told(fresh, trail, status))
        self._horizon = trail.horizon
        read_to = trail.lines[-1].id if trail.is_full else trail.final
        self._cursor = self._cursor.at_least(min(trail.final, read_to))
        self.has_more, self._unsure = trail.is_full, trail.is_full or bool(self._cursor.beyond)
        last = next((line.to_state for line in reversed(fresh) if _is_own(line)), status.state.value)
        self.ended = status.resting and not trail.is_full and last == status.state.value
        return events

    def _status(self) -> Status:
        return status_of(self._ledger.submission(self._id), self._ledger.batches(self._id))

    def _told(self, lines: Sequence[TrailLine], trail: Trail, status: Status) -> Iterator[Event]:
        """Yield the events of lines; the rows that landed come before the end, if this is one."""
        end = max((at for at, line in enumerate(lines) if _rests(line)), default=len(lines))
        for at, line in enumerate(lines):
            if at == end and not trail.is_full:
                yield from self._rows(status)
            self._cursor = self._cursor.with_line(line.id, trail.final)
            yield self._event(
                at=line.at, kind=EventKind(line.record.value), id=line.record_id,
                state=line.to_state, from_state=line.from_state, reason=line.reason,
            )  # fmt: skip
        if end == len(lines) and not trail.is_full:
            yield from self._rows(status)

    def _rows(self, status: Status) -> Iterator[Event]:
        if status.counts != self._cursor.counts:
            self._cursor = replace(self._cursor, counts=status.counts)
            state = status.state.value
            yield self._event(
                at=self._ledger.now(), kind=EventKind.ROWS, id=self._id,
                state=state, from_state=state, reason="",
            )  # fmt: skip

    def _event(
        self,
        *,
        at: datetime,
        kind: EventKind,
        id: str,  # noqa: A002
        state: str,
        from_state: str,
        reason: str,
    ) -> Event:
        return Event(
            at=at, kind=kind, id=id, state=state, from_state=from_state, reason=reason,
            counts=self._cursor.counts, cursor=str(self._cursor),
        )  # fmt: skip


def _is_own(line: TrailLine) -> bool:
    return line.record is Record.SUBMISSION


def _rests(line: TrailLine) -> bool:
    return _is_own(line) and line.to_state in _RESTING
