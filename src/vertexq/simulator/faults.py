"""Faults on demand: what the simulator can be told to do wrong, and what it did so far."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import cast

from vertexq.errors import BadInput

_LOG_ENTRIES = 100_000  # the oldest fall out; a test that counts requests makes far fewer


class Action(StrEnum):
    """What goes wrong. A surface that does not know an action ignores it."""

    # before the request has any effect
    DELAY = "delay"  # wait `delay_s`, then go on as if nothing had been
    REFUSE = "refuse"  # answer `status` (429, 503, …), with `Retry-After` when `retry_after_s` is given
    DROP = "drop"  # close the connection without an answer
    # after the request took effect
    ACCEPT_THEN_DROP = "accept-then-drop"  # close the connection without an answer
    ACCEPT_THEN_REFUSE = "accept-then-refuse"  # answer `status`
    ACCEPT_THEN_STALL = "accept-then-stall"  # answer nothing for `delay_s`, then drop
    ACCEPT_LATE = "accept-late"  # drop at once, take effect `delay_s` later (creating a job only)
    GARBLE = "garble"  # take effect, answer 200 with a body that is not JSON
    # in the middle of a body
    CUT = "cut"  # drop after `after_bytes` of a download's or an upload's body
    STALL = "stall"  # send nothing for `delay_s` after `after_bytes` of a download, then drop
    CORRUPT = "corrupt"  # flip the bits of the byte at `after_bytes` of a download
    SHORTEN = "shorten"  # answer a download with only `after_bytes`, as if that were all
    IGNORE_RANGE = "ignore-range"  # answer a ranged download with 200 and the whole object
    WRONG_RANGE = "wrong-range"  # answer with the right bytes and a `Content-Range` that is one off
    # what only a surface understands; `note` says it
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing to do wrong, and when.

    ``method`` is a shell pattern over the names of Google's methods (``storage.objects.*``), ``match`` a part
    of the request's label (its path and query; the display name for a new job). ``times`` is how often it
    fires (None: always), after letting the first ``skip`` matches pass, each with ``probability``, and for
    ``for_s`` seconds from its first firing when that is given. ``note`` is free text for the surface.
    """

    method: str
    action: Action
    match: str = ""
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    for_s: float | None = None
    status: int = 503
    retry_after_s: float | None = None
    after_bytes: int = 0
    delay_s: float = 0.0
    note: str = ""

    def concerns(self, method: str, label: str) -> bool:
        """Say whether a request to ``method`` with this ``label`` is one to go wrong."""
        return fnmatchcase(method, self.method) and self.match in label


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One answered (or deliberately unanswered) request; ``status`` 0 means no answer was given."""

    number: int
    method: str
    verb: str
    path: str
    status: int
    fault: str


@dataclass(slots=True)
class _Armed:
    """A fault and what is left of it."""

    fault: Fault
    left: int | None
    to_skip: int
    fired_at_s: float | None = None

    def live(self, now_s: float) -> bool:
        over = self.fault.for_s is not None and self.fired_at_s is not None
        return self.left != 0 and not (over and now_s - (self.fired_at_s or 0) > (self.fault.for_s or 0))


class Faults:
    """The faults a simulator is told to make, shared by its surfaces; safe to call from any thread.

    ``seed`` decides the dice of faults with a probability, ``clock`` is in seconds.
    """

    def __init__(self, *faults: Fault, seed: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._dice = random.Random(seed)
        self._clock = clock
        self._armed: list[_Armed] = []
        self._log: deque[LogEntry] = deque(maxlen=_LOG_ENTRIES)
        self._answered = 0
        self.add(*faults)

    def add(self, *faults: Fault) -> None:
        """Arm more faults; the one added first fires first."""
        with self._lock:
            self._armed += [_Armed(fault, fault.times, fault.skip) for fault in faults]

    def clear(self) -> None:
        """Forget every armed fault; the log stays."""
        with self._lock:
            self._armed.clear()

    def armed(self) -> list[Fault]:
        """Return the faults that may still fire, in the order in which they were added."""
        with self._lock:
            now_s = self._clock()
            return [armed.fault for armed in self._armed if armed.live(now_s)]

    def take(self, method: str, label: str = "", *, among: Collection[Action] = ()) -> Fault | None:
        """Return the fault this request must suffer, or None; a fault that is returned has fired.

        ``among`` limits the answer to actions the caller can do at this point (empty: all).
        """
        with self._lock:
            now_s = self._clock()
            for armed in self._armed:
                wanted = not among or armed.fault.action in among
                if wanted and armed.fault.concerns(method, label) and self._fires(armed, now_s):
                    return armed.fault
        return None

    def _fires(self, armed: _Armed, now_s: float) -> bool:
        if not armed.live(now_s):
            return False
        if armed.to_skip:
            armed.to_skip -= 1
            return False
        if self._dice.random() >= armed.fault.probability:
            return False
        armed.fired_at_s = now_s if armed.fired_at_s is None else armed.fired_at_s
        armed.left = None if armed.left is None else armed.left - 1
        return True

    def record(self, *, method: str, verb: str, path: str, status: int, fault: Fault | None = None) -> None:
        """Note an answered request (``status`` 0: it was left without an answer)."""
        with self._lock:
            self._answered += 1
            action = fault.action.value if fault else ""
            entry = LogEntry(
                number=self._answered, method=method, verb=verb, path=path, status=status, fault=action
            )
            self._log.append(entry)

    def log(self, method: str = "*") -> list[LogEntry]:
        """Return the requests so far whose method fits the shell pattern, oldest first."""
        with self._lock:
            return [entry for entry in self._log if fnmatchcase(entry.method, method)]


_KINDS: dict[str, tuple[type, ...]] = {
    "method": (str,),
    "action": (str,),
    "match": (str,),
    "times": (int, type(None)),
    "skip": (int,),
    "probability": (int, float),
    "for_s": (int, float, type(None)),
    "status": (int,),
    "retry_after_s": (int, float, type(None)),
    "after_bytes": (int,),
    "delay_s": (int, float),
    "note": (str,),
}


def fault_from_json(value: object) -> Fault:
    """Read a fault from its JSON object, as ``POST /_simulator/faults`` takes it; raise ``BadInput``."""
    if not isinstance(value, dict):
        raise BadInput(
            f"a fault is a JSON object with at least method and action, not {type(value).__name__}"
        )
    fields = cast("Mapping[str, object]", value)
    for name, given in fields.items():
        if not isinstance(given, _KINDS.get(name, ())):
            raise BadInput(f"fault field {name!r}: unknown or of the wrong type; known: {', '.join(_KINDS)}")
    try:
        return Fault(**{**fields, "action": Action(str(fields["action"]))})  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError) as error:
        known = ", ".join(Action)
        raise BadInput(f"a fault needs a method and an action (one of {known}): {error}") from error


def fault_to_json(fault: Fault) -> dict[str, object]:
    """Return the fault as the JSON object that ``fault_from_json`` reads."""
    return asdict(fault)
