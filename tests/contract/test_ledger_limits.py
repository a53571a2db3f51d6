"""The ledger at its limits: great numbers, odd ids, long spools, busy files, and connections that are cut."""

from __future__ import annotations

import re
import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

import vertexq.ledger
from tests.contract.ledger_values import (
    LONG_S,
    bound,
    held,
    new_batch,
    new_submission,
    output_range,
    running,
    staging,
)
from tests.contract.racing import at_once
from vertexq.errors import BadInput, Conflict, UnknownSubmission, Unreachable
from vertexq.ids import batch_id, checked_submission_id
from vertexq.ledger import Bounds, Ledger, Record
from vertexq.model import Batch, Counts, JobError, Usage
from vertexq.states import BatchState as B
from vertexq.states import SubmissionState as S
from vertexq.testing.batches import enter_batches

MOST = 2**63 - 1
MIB = 1024 * 1024


def test_the_greatest_numbers_come_back(ledger: Ledger) -> None:
    """Generations, offsets, counts, tokens and money have 63 bits."""
    (ready,) = running(ledger)
    usage = Usage(prompt_tokens=MOST, total_tokens=MOST)
    batch = ledger.update_batch(
        bound(ledger, ready), cost_pusd=MOST, quarantined_lines=MOST, usage=usage, counts=Counts(failed=MOST)
    )
    one = replace(output_range(batch), generation=MOST, start=MOST - 1, end=MOST, size_bytes=MOST)

    assert ledger.pin_ranges(batch, [one], claim=held(ledger, Record.BATCH, batch.id)) == [one]
    assert (batch.cost_pusd, batch.quarantined_lines, batch.usage) == (MOST, MOST, usage)
    assert ledger.batch(batch.id).counts.failed == MOST


def test_a_number_that_is_too_great_is_refused(ledger: Ledger) -> None:
    """Nothing is cut off or wraps around, and the record stays as it was."""
    ledger.enqueue(new_submission())
    seen = ledger.submission("s-1")

    with pytest.raises(BadInput, match="cannot hold a value"):
        ledger.update_submission(seen, cost_pusd=MOST + 1)

    assert ledger.submission("s-1") == seen


@pytest.mark.parametrize("id", ["0", "a" * 63, "A.b_c-1", "s--1", "1e9", "null"])
def test_every_legal_id_is_kept_to_the_letter(ledger: Ledger, id: str) -> None:  # noqa: A002
    """Case, dots, dashes and length make different ids, and nothing is read into them."""
    batches = [batch_id(checked_submission_id(id), "f" * 64, ordinal) for ordinal in range(2)]
    submission, claim = staging(ledger, id)
    new = [replace(new_batch(ordinal, of=id), id=one) for ordinal, one in enumerate(batches)]
    enter_batches(ledger, submission, new, claim=claim)

    assert ledger.submission(id).id == id
    assert [batch.id for batch in ledger.batches(id)] == batches
    if id != id.swapcase():
        with pytest.raises(UnknownSubmission):
            ledger.submission(id.swapcase())


@pytest.mark.parametrize("labels", [{}, {"a": ""}, {"ключ": "значение", "emoji": "🦉", "quote": "'\"\\"}])
def test_labels_come_back_as_they_were(ledger: Ledger, labels: dict[str, str]) -> None:
    """Whatever script they are written in."""
    ledger.enqueue(replace(new_submission(), labels=labels))

    assert ledger.submission("s-1").labels == labels


def test_googles_words_may_be_long_and_odd(ledger: Ledger) -> None:
    """A state nobody knows yet, an error of a megabyte, and text that is no text do not stop a batch."""
    (ready,) = running(ledger)
    message = "x" * MIB + "\x00\ud800"

    batch = ledger.update_batch(
        bound(ledger, ready), job_state="JOB_STATE_" + "Z" * 500, job_error=JobError(code=13, message=message)
    )

    assert batch.job_state.endswith("ZZZ")
    assert batch.job_error == JobError(code=13, message=message)
    assert ledger.batch(batch.id) == batch


def test_a_long_spool_passes_through_little_memory(ledger: Ledger) -> None:
    """Rows go in and come out chunk by chunk: 64 MiB in a few."""
    tracemalloc.start()
    ledger.enqueue(new_submission(), (bytes([number]) * MIB for number in range(64)))
    seen = [(chunk[0], len(chunk)) for chunk in ledger.spool("s-1")]
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert seen == [(number, MIB) for number in range(64)]
    assert peak_bytes < 12 * MIB


def test_a_cancel_never_loses_a_race(ledger: Ledger) -> None:
    """Whoever asks gets an answer, however busy the submission is; workers see a conflict and look again."""
    running(ledger)

    def act(number: int) -> str:
        if number % 2:
            return ledger.request_cancel("s-1").state
        for _ in range(10):
            try:
                ledger.update_submission(ledger.submission("s-1"), attempts=number)
            except Conflict:
                continue
        return "worked"

    answers = at_once(8, act)

    assert answers.count(S.CANCELLING) == 4
    moves = [line.to_state for line in ledger.audit(Record.SUBMISSION, "s-1")]
    assert moves.count(S.CANCELLING) == 1


def test_tokens_only_grow(ledger: Ledger) -> None:
    """Through claims, releases, leases that ran out, moves and updates."""
    (batch,) = running(ledger)
    seen: list[int] = []
    for number in range(6):
        lease_s = LONG_S if number % 2 else -1.0
        claim = ledger.claim(Record.BATCH, batch.id, owner=f"w{number}", lease_s=lease_s)
        assert claim is not None
        seen.append(claim.fence)
        ledger.update_batch(ledger.batch(batch.id), claim=claim, attempts=number)
        if number % 2:
            ledger.release(claim)

    assert seen == [1, 2, 3, 4, 5, 6]
    assert ledger.batch(batch.id).fence == 6


def test_a_connection_cut_in_a_transaction_is_said_to_be_lost(postgres_ledger_url: str) -> None:
    """Nothing of the transaction is left, the error says what to do, and the ledger goes on afterwards."""
    ledger = Ledger.open(postgres_ledger_url)

    def cut() -> Iterator[bytes]:
        yield b"one"
        with psycopg.connect(postgres_ledger_url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                "WHERE state = 'idle in transaction' AND query LIKE '%INTO vertexq_spool%' "
                "AND pid <> pg_backend_pid()"
            )
        yield b"two"

    with pytest.raises(Unreachable, match=r"cannot be used .*check the ledger's URL") as lost:
        ledger.enqueue(new_submission(), cut())

    assert "INSERT" not in str(lost.value)
    assert ledger.submissions() == []
    assert ledger.enqueue(new_submission())[1]
    ledger.close()


def test_a_file_that_somebody_writes_to_for_ever_is_said_to_be_busy(sqlite_ledger_url: str) -> None:
    """After the time the URL gives, the message names the cause; afterwards the ledger goes on."""
    ledger = Ledger.open(f"{sqlite_ledger_url}?timeout=0.05")
    with closing(sqlite3.connect(sqlite_ledger_url.removeprefix("sqlite:///"))) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unreachable, match=r"is busy .*another process has been writing for too long"):
            ledger.enqueue(new_submission())

    assert ledger.enqueue(new_submission())[1]
    ledger.close()


def test_two_transactions_in_each_others_way_are_a_conflict(postgres_ledger_url: str) -> None:
    """A caller that asked for more isolation is told to do it again, not that the ledger is gone."""
    ledger = Ledger.open(postgres_ledger_url)
    with psycopg.connect(postgres_ledger_url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT 1")
        ledger.enqueue(new_submission())
        with pytest.raises(Conflict, match="do it again"):
            ledger.enqueue(new_submission(), connection=connection)
    ledger.close()


def test_a_ledger_opened_for_reading_only_says_that_it_cannot_write(sqlite_ledger_url: str) -> None:
    """SQLite's own URIs work; the message says what to check."""
    Ledger.open(sqlite_ledger_url).close()
    file = sqlite_ledger_url.removeprefix("sqlite:///")
    ledger = Ledger.open(f"sqlite:///file:{file}?mode=ro&uri=true")

    with pytest.raises(Unreachable, match="this user may write to it"):
        ledger.enqueue(new_submission())

    assert ledger.submissions() == []
    assert not Path(f"file:{file}").parent.exists()
    ledger.close()


def test_no_clock_but_the_databases_is_asked() -> None:
    """Leases and due times never depend on a worker's clock, so no module of the ledger reads one."""
    modules = Path(vertexq.ledger.__file__).parent.glob("*.py")

    assert not [
        file.name for file in modules if re.search(r"\bnow\(UTC|utcnow|time\.time\(", file.read_text())
    ]


def test_the_clock_is_the_databases_own(postgres_ledger_url: str) -> None:
    """Two ledgers on one server agree to within the time the questions take."""
    first, second = Ledger.open(postgres_ledger_url), Ledger.open(postgres_ledger_url)
    with first._reading() as connection:  # pyright: ignore[reportPrivateUsage]
        before = connection.execute(text("SELECT clock_timestamp()")).scalar_one()

    assert before <= first.now() <= second.now() <= first.now()
    first.close()
    second.close()


def test_a_released_batch_can_be_bound_by_the_next_worker(ledger: Ledger) -> None:
    """A look for the job may be taken over by anybody once the first worker let go."""
    (batch,) = running(ledger)
    claim = held(ledger, Record.BATCH, batch.id)
    sent = ledger.start_sending(batch, claim=claim, output_prefix="gs://b/o", bounds=Bounds(jobs=1))
    assert isinstance(sent, Batch)
    ambiguous = ledger.move_batch(sent, B.AMBIGUOUS, claim=claim, next_action_at=ledger.now())
    ledger.release(claim)
    ledger.release(claim)

    other = held(ledger, Record.BATCH, batch.id, owner="worker-2")
    named = ledger.move_batch(ambiguous, B.BOUND, claim=other, job_name="projects/1/locations/l/x/2")

    assert (named.state, named.attempt) == (B.BOUND, 1)
