"""What becomes of simulated jobs and their rows, and which job is told what. No I/O."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import cast

from vertexq.errors import BadInput
from vertexq.simulator.timing import Timing, timing_from_json
from vertexq.states import JOB_TERMINAL, JobState


class Echo(StrEnum):
    """What becomes of the fields beside ``request`` in an output row."""

    SIBLINGS = "siblings"  # they come back as they were
    NONE = "none"  # they are gone
    COERCED = "coerced"  # a column of number-like text comes back as numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How a job fares. A share is a part of the rows, from 0 to 1; which rows, the seed decides.

    A row's own content decides whether it is refused, blocked, cut or odd; errors that pass (429, 500) and
    missing rows depend on the whole input too, so that another job with the same row may fare better.
    """

    # shares of rows that get no answer
    bad_rows: float = 0.0  # status 400, as every row with a bad role has
    quota_rows: float = 0.0  # status 429
    server_error_rows: float = 0.0  # status 500
    missing_rows: float = 0.0  # no output line at all
    unwritten_rows: float = 0.0  # counted as answered, and no output line
    # shares of the other rows
    blocked_rows: float = 0.0  # promptFeedback, no candidates
    safety_rows: float = 0.0  # finishReason SAFETY, no content
    cut_rows: float = 0.0  # finishReason MAX_TOKENS
    thinking_rows: float = 0.0  # thoughts are counted
    odd_rows: float = 0.0  # text with line separators that are not line ends
    no_total_rows: float = 0.0  # no totalTokenCount
    no_usage_rows: float = 0.0  # no usageMetadata
    repeated_rows: float = 0.0  # the output line is there twice
    corrupt_rows: float = 0.0  # half of an output line
    # the output
    answer_words: int = 24
    echo: Echo = Echo.SIBLINGS
    union_nulls: bool = True
    shuffle: bool = True
    empty_response_on_failure: bool = True  # `response: {}` in every second failed row; else it is absent
    shards: int = 1
    incremental_rows: int = 0  # rows to a file below incremental_predictions; 0: no such files
    early_only: bool = False  # … and no final file
    late_output_s: float = 0.0  # the last final file appears so long after the job has ended
    incomplete_unknown: bool = False  # `incompleteCount` is "-1" until the job has ended
    table_may_exist: bool = False  # an output table that is there is added to; else the job fails
    response_as_text: bool = False  # `response` of an output table is a STRING instead of JSON
    ids_as_text: bool = False  # ids of labels come as text
    errors_inline: bool = False  # images that failed are among the answers, not in a file of errors
    embedding_usage: bool = False  # embeddings count tokens in usageMetadata instead of tokenCount
    late_output_info: bool = False  # outputInfo appears only when the job has ended
    # the job
    one_at_a_time: bool = True  # of models that run one job at a time, another one fails; else it may run
    import_check: bool = True
    stuck_state: JobState | None = None  # stays in this state, which may be any but a final one
    stuck_s: float | None = None  # … for so long; None: until it is cancelled
    state_word: str = ""  # shown instead of RUNNING
    expires: bool = False  # EXPIRED in the queue
    partial: bool = False  # ends PARTIALLY_SUCCEEDED
    fail_code: int = 0  # ends FAILED with this gRPC code
    fail_message: str = "System error. Please try this operation again."
    fail_at: float = 0.5  # … when this share of the rows is done
    export_denied: bool = False  # ends FAILED with code 7 when the rows are done
    cancel_loses: bool = False  # CANCELLING ends SUCCEEDED
    timing: Timing | None = None  # instead of the simulator's own
    list_lag_s: float = 0.0  # a new job is not listed for so long
    get_lag_s: float = 0.0  # … and not found by its name for so long


_STATES = frozenset(JobState) - JOB_TERMINAL - {JobState.UNSPECIFIED}


def behaviour_from_json(value: object) -> Behaviour:
    """Read a behaviour from a JSON object with some of its fields; raise ``BadInput`` for unknown ones."""
    if not isinstance(value, dict):
        raise BadInput(f"a behaviour is a JSON object, not {type(value).__name__}")
    given = cast("dict[str, object]", value)
    default = Behaviour()
    known = {field.name: getattr(default, field.name) for field in fields(Behaviour)}
    read = {name: _read(name, each, known) for name, each in given.items()}
    return Behaviour(**read)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def _read(name: str, value: object, known: Mapping[str, object]) -> object:
    if name not in known:
        raise BadInput(f"a behaviour has no field {name!r}; known: {', '.join(known)}")
    try:
        if name == "echo":
            return Echo(str(value))
        if name == "stuck_state":
            return _stuck(value)
        if name == "stuck_s":
            return None if value is None else float(str(value))
        if name == "timing":
            return None if value is None else timing_from_json(value)
        return _same_kind(value, known[name])
    except (TypeError, ValueError) as error:
        raise BadInput(f"behaviour field {name!r}: {value!r} will not do; {error}") from error


def _stuck(value: object) -> JobState | None:
    if value is None:
        return None
    if value not in _STATES:
        raise ValueError(f"expected one of {', '.join(sorted(_STATES))}")
    return JobState(str(value))


def _same_kind(value: object, default: object) -> object:
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise TypeError(f"expected {type(default).__name__}")
    return value


def behaviour_to_json(behaviour: Behaviour) -> dict[str, object]:
    """Return the JSON object that ``behaviour_from_json`` reads."""
    return asdict(behaviour)


class Behaviours:
    """Which job behaves how; safe to call from any thread. ``default`` is for all other jobs."""

    def __init__(self, default: Behaviour | None = None) -> None:
        self._lock = threading.Lock()
        self._default = default or Behaviour()
        self._special: dict[str, Behaviour] = {}

    def set(self, behaviour: Behaviour, *, match: str = "") -> None:
        """Use ``behaviour`` from now on: for all jobs, or for those that ``match``.

        A job matches when its display name, or one of its labels written ``key=value``, holds that text.
        """
        with self._lock:
            if match:
                self._special.pop(match, None)
                self._special[match] = behaviour
            else:
                self._default = behaviour

    def clear(self) -> None:
        """Go back to ordinary behaviour for all jobs."""
        with self._lock:
            self._default = Behaviour()
            self._special.clear()

    def of(self, display_name: str, labels: Mapping[str, str]) -> Behaviour:
        """Return the behaviour of a job; what was set last comes first."""
        texts = [display_name, *(f"{key}={value}" for key, value in labels.items())]
        with self._lock:
            for match in reversed(self._special):
                if any(match in text for text in texts):
                    return self._special[match]
            return self._default

    def special(self, match: str) -> Behaviour | None:
        """Return what was set for exactly this text; None when nothing was."""
        with self._lock:
            return self._special.get(match)

    def to_json(self) -> dict[str, object]:
        """Return what is set, by what it matches; ``""`` is the default."""
        with self._lock:
            everything = {"": self._default, **self._special}
            return {match: behaviour_to_json(each) for match, each in everything.items()}
