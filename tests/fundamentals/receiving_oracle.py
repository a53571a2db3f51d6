"""An oracle of the receiving half: it reads what Google wrote once more, plainly, and compares.

It says of each row what the best answer was that its jobs ever gave, of each batch what these answers cost,
and which lines cannot be read; ledger and stores must say the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.fundamentals.house import House
from tests.fundamentals.receiving_soak import Told
from tests.fundamentals.soaking import Soak
from vertexq import Outcome, Submission, SubmissionState
from vertexq.keys import parse_wire_key
from vertexq.ledger import Record
from vertexq.model import Batch, Counts, GcsUri
from vertexq.results import OUTCOME_RANK, Result
from vertexq.states import SUBMISSION_TERMINAL
from vertexq.stores import open_store

_COUNTS = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a line of output says of a row."""

    outcome: Outcome
    prompt_tokens: int
    total_tokens: int

    @property
    def rank(self) -> int:
        """Return how good it is."""
        return OUTCOME_RANK[self.outcome]


@dataclass(slots=True)
class Output:
    """What a job wrote: the best that is said of each key, and where the bad lines are; those left unread."""

    best: dict[str, Said] = field(default_factory=dict[str, Said])
    bad: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    def take(self, name: str, data: bytes, *, is_read: bool) -> None:
        """Read an object."""
        at = 0
        for line in data.split(b"\n"):
            told = said(line) if line else None
            if line and told is None and is_read:
                self.bad.append((name, at))
            if told and (told[0] not in self.best or told[1].rank > self.best[told[0]].rank):
                self.best[told[0]] = told[1]
            at += len(line) + 1


def said(line: bytes) -> tuple[str, Said] | None:
    """Read one line of output plainly: the key, and what it says; None when it is none."""
    try:
        row: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    key = parse_wire_key(row["key"], 10**9)
    assert key is not None, "Google wrote a row that nobody sent"
    response: dict[str, Any] = row.get("response") or {}
    usage: dict[str, int] = response.get("usageMetadata") or {}
    tokens = [usage.get(name) or 0 for name in _COUNTS]
    outcome = Outcome.SUCCEEDED
    if row["status"]:
        outcome = Outcome.FAILED
    elif "promptFeedback" in response or response["candidates"][0]["finishReason"] == "SAFETY":
        outcome = Outcome.BLOCKED
    return key[1], Said(outcome=outcome, prompt_tokens=tokens[0], total_tokens=sum(tokens))


async def faults_of(soak: Soak, told: Told) -> list[str]:
    """Return what is wrong at the end."""
    ledger = soak.house.services.ledger
    paid = Counter(create.display_name for create in soak.house.simulator.accepted)
    known = {batch.id for name in soak.rows for batch in ledger.batches(name)}
    found = [f"{one} is still due" for one in ledger.due(limit=9, resend_after_s=0.0)]
    found += [f"{one} was paid for {paid[one]} times" for one in paid if one not in known or paid[one] > 1]
    for name in soak.rows:
        found += [f"{name}: {fault}" async for fault in _of_submission(soak, ledger.submission(name))]
        ends = [line.to_state for line in ledger.audit(Record.SUBMISSION, name)]
        times = sum(SubmissionState(state) in SUBMISSION_TERMINAL for state in ends)
        if len(events := {one for one in told.events if one[1] == name}) != times:
            found.append(f"{name} ended {times} times, {len(events)} events were told")
    return found


async def _of_submission(soak: Soak, submission: Submission) -> AsyncIterator[str]:
    best: dict[str, Said] = {}
    bad: list[tuple[str, int]] = []
    total, cost_pusd = Counts(), 0
    batches = soak.house.services.ledger.batches(submission.id)
    for batch in sorted(batches, key=lambda one: (one.round, one.ordinal)):
        output = await _output(soak.house, batch)
        won = {key: one for key, one in output.best.items() if key not in best or one.rank >= best[key].rank}
        spent = sum(one.prompt_tokens for one in won.values())
        if (batch.usage.prompt_tokens, batch.quarantined_lines) != (spent, len(output.bad)):
            yield f"{batch} counts otherwise than its output: {spent} prompt tokens, bad lines {output.bad}"
        best, bad = {**best, **won}, bad + output.bad
        total, cost_pusd = total + batch.counts, cost_pusd + batch.cost_pusd
    if (submission.counts, submission.cost_pusd) != (total, cost_pusd):
        yield f"{submission} is not the sum of its batches: {total}, {cost_pusd}"
    for store in submission.stores:
        for fault in _of_store(soak, submission, store, best, bad):
            yield f"{store} of {submission.stores}: {fault}"


async def _output(house: House, batch: Batch) -> Output:
    """Read all that was pinned, and all that is final: what comes late is left when all rows are answered."""
    storage, found = house.services.storage, Output()
    pinned = {(part.object_name, part.generation) for part in house.services.ledger.ranges(batch.id)}
    place = GcsUri.parse(f"{batch.output_directory or batch.output_prefix}/") if batch.job_name else None
    there: set[tuple[str, int]] = set()
    if place is not None:
        there = {(str(one.uri), one.generation) async for one in storage.list(place)}
    for name, generation in sorted(pinned | {one for one in there if "incremental" not in one[0]}):
        pieces = storage.download(GcsUri.parse(name), generation=generation)
        found.take(name, b"".join([piece async for piece in pieces]), is_read=(name, generation) in pinned)
    return found


def _of_store(
    soak: Soak, submission: Submission, store: str, best: Mapping[str, Said], bad: list[tuple[str, int]]
) -> Iterator[str]:
    with open_store(soak.house.environ()[f"VERTEXQ_STORE_{store.upper()}"]) as opened:
        rows = list(opened.results(submission.id))
        lines = Counter((one.source_object, one.source_offset) for one in opened.quarantine(submission.id))
    yield from (f"{key} is there {n} times" for key, n in Counter(row.key for row in rows).items() if n > 1)
    stored = Counter(row.outcome for row in rows)
    if any(getattr(submission.counts, one.value) != stored[one] for one in Outcome):
        yield f"{submission.counts} is counted, {dict(stored)} is stored"
    if submission.state is not SubmissionState.CANCELLED and len(rows) != soak.rows[submission.id]:
        yield f"{len(rows)} rows are stored of {soak.rows[submission.id]}"
    for row in rows:
        yield from (f"{row.key} {fault}" for fault in _of_row(row, best.get(row.key)))
    if absent := set(best) - {row.key for row in rows}:
        yield f"{absent} were answered and are not there"
    if lines != Counter(bad):
        yield f"bad lines: {lines - Counter(bad)} too many, {Counter(bad) - lines} too few"


def _of_row(row: Result, told: Said | None) -> Iterator[str]:
    if told is None:
        if row.outcome not in (Outcome.MISSING, Outcome.FAILED) or row.source_object:
            yield f"is {row.outcome}, and Google said nothing"
    elif (row.outcome, row.prompt_tokens or 0, row.total_tokens or 0) != (
        told.outcome,
        told.prompt_tokens,
        told.total_tokens,
    ):
        yield f"is {row.outcome} with {row.prompt_tokens}, {row.total_tokens} tokens, Google said {told}"
