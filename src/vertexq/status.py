"""How a submission stands, for people and scripts: rows, jobs, money, pace. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from vertexq import outlook
from vertexq.finishing import answered_online
from vertexq.model import PUSD_PER_USD, Batch, Counts, Estimate, OnDeadline, Submission, Usage
from vertexq.money import estimate_json, in_usd, unknown_cost
from vertexq.plain import money
from vertexq.recipients import Told
from vertexq.results import Outcome
from vertexq.rounds import RESTS
from vertexq.states import (
    BATCH_TERMINAL,
    SUBMISSION_RESTING,
    SUBMISSION_TERMINAL,
    BatchState,
    SubmissionState,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Rows that are tried again. ``number`` counts from 1, ``rows`` what was handed over to its batches.

    ``resting_until`` is when its rows may be sent, while none of them has been; ``open_rows`` are in batches
    that have not ended, ``answered_rows`` have an answer now.
    """

    number: int
    batches: int
    rows: int
    open_rows: int
    answered_rows: int
    resting_until: datetime | None

    def to_json(self) -> dict[str, Any]:
        """Return what scripts get."""
        until = self.resting_until.isoformat() if self.resting_until else None
        return {
            "round": self.number,
            "batches": self.batches,
            "rows": self.rows,
            "open": self.open_rows,
            "answered": self.answered_rows,
            "resting_until": until,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One look at a submission.

    ``answered_rows`` is what Google's own counters say while jobs run, ``landed_rows`` what is in the store.
    ``cost_usd`` is None when the model has no price; ``estimate`` is None until rows have been counted.
    ``set_aside_rows`` could not be sent and end as failed; ``strays`` counts jobs beside those that are kept.
    ``rounds`` are those in which rows are tried again, ``most_rounds`` how many there are by themselves, as
    far as this process knows. ``online_rows`` have their answer from an online call. ``differences`` say
    where Google's counts and its output do not agree; ``told`` how those who hear about it have taken it.
    """

    id: str
    state: SubmissionState
    model: str
    store: str
    reason: str
    sent_rows: int
    answered_rows: int
    landed_rows: int
    counts: Counts
    quarantined_lines: int
    usage: Usage
    cost_usd: float | None
    batches: int
    batches_by_state: dict[str, int]
    job_states: dict[str, int]
    created_at: datetime
    finished_at: datetime | None
    estimate: Estimate | None = None
    budget_usd: float | None = None
    deadline_at: datetime | None = None
    on_deadline: OnDeadline = OnDeadline.REPORT
    priority: int = 0
    tenant: str = ""
    set_aside_rows: int = 0
    strays: int = 0
    warnings: tuple[str, ...] = ()
    rounds: tuple[Round, ...] = ()
    most_rounds: int = 0
    online_rows: int = 0
    differences: tuple[str, ...] = ()
    told: tuple[Told, ...] = ()

    @property
    def resting(self) -> bool:
        """Tell whether nothing more will happen by itself."""
        return self.state in SUBMISSION_RESTING

    @property
    def ended(self) -> bool:
        """Tell whether the submission has come to its end."""
        return self.state in SUBMISSION_TERMINAL

    @property
    def all_answered(self) -> bool:
        """Tell whether it is done and no row failed, went missing or was set aside."""
        bad = self.counts.failed + self.counts.missing + self.counts.quarantined
        return self.state is SubmissionState.DONE and bad == 0

    @property
    def cost(self) -> str:
        """Return what it has cost so far, for people: ``0.051625 USD``, or that no price is known."""
        return unknown_cost(self.model) if self.cost_usd is None else money(self.cost_usd)

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``vertexq status --json`` prints; scripts rely on its names."""
        return {
            "id": self.id,
            "state": self.state.value,
            "model": self.model,
            "store": self.store,
            "stores": self.store.split(","),
            "rows": {
                "sent": self.sent_rows,
                "answered": self.answered_rows,
                **{outcome.value: getattr(self.counts, outcome.value) for outcome in Outcome},
            },
            "quarantined_lines": self.quarantined_lines,
            "batches": self.batches,
            "batch_states": self.batches_by_state,
            "job_states": self.job_states,
            "tokens": {
                "prompt": self.usage.prompt_tokens,
                "output": self.usage.output_tokens,
                "thoughts": self.usage.thoughts_tokens,
                "cached": self.usage.cached_tokens,
                "total": self.usage.total_tokens,
            },
            "cost_usd": self.cost_usd,
            "reason": self.reason,
            "created_at": self.created_at.isoformat(),
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
            "estimate": estimate_json(self.estimate) if self.estimate else None,
            "budget_usd": self.budget_usd,
            "deadline_at": self.deadline_at.isoformat() if self.deadline_at else None,
            "on_deadline": self.on_deadline.value,
            "priority": self.priority,
            "tenant": self.tenant,
            "set_aside_rows": self.set_aside_rows,
            "strays": self.strays,
            "warnings": list(self.warnings),
            "rounds": [one.to_json() for one in self.rounds],
            "online_rows": self.online_rows,
            "differences": list(self.differences),
            "deliveries": [asdict(one) for one in self.told],
        }


def status_of(
    submission: Submission,
    batches: Sequence[Batch],
    *,
    strays: int = 0,
    now: datetime | None = None,
    most_rounds: int = 0,
    told: Sequence[Told] = (),
) -> Status:
    """Put the ledger's records of one submission together; ``strays`` is how many of its jobs are strays.

    With ``now`` it warns of jobs that will soon have waited or run for as long as Google lets them.
    """
    settled = submission.state in SUBMISSION_TERMINAL
    counts, usage, cost_pusd = submission.counts, submission.usage, submission.cost_pusd
    if not settled:
        counts = sum((batch.counts for batch in batches), Counts())
        usage = sum((batch.usage for batch in batches), Usage())
        cost_pusd = sum(batch.cost_pusd for batch in batches)
    landed = counts.total
    answered = sum(_answered(batch) for batch in batches)
    return Status(
        id=submission.id,
        state=submission.state,
        model=submission.model,
        store=submission.store,
        reason=submission.reason or ("" if settled else _why_it_waits(batches)),
        sent_rows=submission.rows or 0,
        answered_rows=max(answered, landed),
        landed_rows=landed,
        counts=counts,
        quarantined_lines=submission.quarantined_lines,
        usage=usage,
        cost_usd=_cost_usd(submission, usage, cost_pusd),
        batches=len(batches),
        batches_by_state=_tally([batch.state.value for batch in batches]),
        job_states=_tally([one.job_state for one in batches if one.job_state and not one.online]),
        created_at=submission.created_at,
        finished_at=submission.finished_at,
        warnings=tuple(text for batch in batches for text in outlook.warnings(batch, now)) if now else (),
        estimate=submission.estimate,
        budget_usd=in_usd(submission.terms.budget_pusd),
        deadline_at=submission.deadline_at,
        on_deadline=submission.terms.on_deadline,
        priority=submission.terms.priority,
        tenant=submission.tenant,
        set_aside_rows=sum(batch.rows for batch in batches if batch.state is BatchState.ASIDE),
        strays=strays,
        rounds=_rounds(batches),
        most_rounds=most_rounds,
        online_rows=answered_online(batches),
        told=tuple(told),
        differences=tuple(
            f"{batch.id}: {batch.reason}"
            for batch in batches
            if batch.state is BatchState.INGESTED and batch.reason
        ),
    )


def _rounds(batches: Sequence[Batch]) -> tuple[Round, ...]:
    """Return every round after the first, in order."""
    numbers = sorted({batch.round for batch in batches} - {0})
    return tuple(_round(number, [batch for batch in batches if batch.round == number]) for number in numbers)


def _round(number: int, batches: Sequence[Batch]) -> Round:
    until = [one.next_action_at for one in batches if _rests(one) and one.next_action_at]
    return Round(
        number=number,
        batches=len(batches),
        rows=sum(batch.rows for batch in batches),
        open_rows=sum(batch.rows for batch in batches if batch.state not in BATCH_TERMINAL),
        answered_rows=sum(batch.counts.succeeded + batch.counts.blocked for batch in batches),
        resting_until=min(until) if len(until) == len(batches) else None,
    )


def _cost_usd(submission: Submission, usage: Usage, cost_pusd: int) -> float | None:
    """Return the cost in US dollars; None when answers had no price, or would have none if they came."""
    estimate = submission.estimate
    priced = estimate is None or estimate.cost_pusd is not None
    return cost_pusd / PUSD_PER_USD if usage.has_cost(priced=priced) else None


def _why_it_waits(batches: Sequence[Batch]) -> str:
    """Return what keeps a job from being made, else from being seen or read; or that rows have to rest.

    Of several reasons it is the latest.
    """
    unmade = (BatchState.READY, BatchState.SENDING, BatchState.AMBIGUOUS)
    said = [batch for batch in batches if batch.state not in BATCH_TERMINAL and batch.reason]
    if said:
        return max(said, key=lambda batch: (batch.state in unmade, batch.updated_at)).reason
    under_way = [batch for batch in batches if batch.state not in BATCH_TERMINAL]
    if not under_way or not all(batch.round for batch in under_way):
        return ""
    rows = f"{sum(batch.rows for batch in under_way):,} rows"
    if all(batch.online for batch in under_way):
        return f"{rows} are answered online"
    until = [one.next_action_at for one in under_way if _rests(one) and one.next_action_at]
    if len(until) < len(under_way):
        return f"{rows} are tried again"
    return f"{rows} rest until {min(until):%Y-%m-%d %H:%M:%S} UTC and are then tried again"


def _rests(batch: Batch) -> bool:
    return batch.state is BatchState.READY and batch.attempts == RESTS


def _answered(batch: Batch) -> int:
    if batch.state in (BatchState.INGESTED, BatchState.WITHDRAWN):
        return batch.counts.total
    return (batch.stats.successful or 0) + (batch.stats.failed or 0)


def _tally(words: Sequence[str]) -> dict[str, int]:
    return {word: words.count(word) for word in sorted(set(words))}


class Pace:
    """Rows a second and time to go, from looks at a growing number. Times are monotonic seconds."""

    WINDOW = 20

    def __init__(self) -> None:
        self._looks: list[tuple[float, int]] = []

    def look(self, at_s: float, rows: int) -> None:
        """Note how many rows were finished at a moment; only the last looks count.

        As long as nothing moves the clock starts anew: waiting in Google's queue is no pace.
        """
        if self._looks and self._looks[0][1] == rows:
            self._looks = []
        self._looks = [*self._looks[-self.WINDOW :], (at_s, rows)]

    def rows_per_s(self) -> float:
        """Return the pace over the looks that are kept; 0.0 until it moves."""
        if not self._looks:
            return 0.0
        (first_s, first), (last_s, last) = self._looks[0], self._looks[-1]
        return (last - first) / (last_s - first_s) if last > first and last_s > first_s else 0.0

    def remaining_s(self, rows: int) -> float | None:
        """Return how long ``rows`` more will take at this pace, or None when it cannot be said."""
        pace = self.rows_per_s()
        return rows / pace if pace else None
