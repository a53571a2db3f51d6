"""Polls: one list for all jobs of a place, every state of theirs, and jobs that cannot be seen."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from tests.fundamentals.creating import CANCEL, ID, LIST, MODEL, PATIENCE_S, PROMPTS, post_behind_our_back
from tests.fundamentals.house import House
from vertexq import steps
from vertexq.ledger import Record
from vertexq.model import Batch
from vertexq.names import TaskName
from vertexq.retry import Backoff
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault, LogEntry
from vertexq.simulator.timing import Timing
from vertexq.states import BatchState, JobState

GET = "aiplatform.projects.locations.batchPredictionJobs.get"
PLACE = ("demo", "us-central1")
LONG = Behaviour(timing=replace(Timing.fast(), run_s=1000.0))
WAITING = Behaviour(timing=replace(Timing.fast(), pending_s=1000.0))


def _batches(house: House) -> list[Batch]:
    return house.services.ledger.batches(ID)


def _bound(house: House) -> list[Batch]:
    return [batch for batch in _batches(house) if batch.state is BatchState.BOUND]


async def _with_jobs(house: House, count: int, *, state: str = "RUNNING") -> House:
    """Return the house with so many jobs of one row, all due and in a state, looked at when we say so."""
    patient = house.with_options(
        batch_rows=1, running_jobs=1000, poll_interval_s=60.0, poll_longest_s=600.0, resend_after_s=0.0
    )
    with patient.client() as client:
        client.submit([f"Say {number}" for number in range(count)], model=MODEL, store="results", id=ID)
    await patient.until(lambda: len(_bound(house)) == count)
    await _google_says(house, state, count)
    _make_due(house, _bound(house))
    house.letters.waiting.clear()
    return patient


async def _google_says(house: House, state: str, count: int) -> None:
    """Wait until so many jobs are in a state."""
    query = f'state="JOB_STATE_{state}"'
    async with asyncio.timeout(PATIENCE_S):
        while len([job async for job in house.services.vertex.list(*PLACE, filter=query)]) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _make_due(house: House, batches: list[Batch]) -> None:
    for batch in batches:
        house.services.ledger.hasten(Record.BATCH, batch.id)


async def _poll(house: House) -> list[LogEntry]:
    """Poll once and return what that asked of Google."""
    before = len(house.simulator.faults.log("aiplatform.*"))
    await steps.poll(house.services, *PLACE)
    return house.simulator.faults.log("aiplatform.*")[before:]


def _said(house: House) -> Counter[str]:
    return Counter(batch.job_state.removeprefix("JOB_STATE_") for batch in _batches(house))


def _due(house: House) -> int:
    return len(house.services.ledger.poll_due(*PLACE, limit=1000))


@pytest.mark.parametrize(("jobs", "pages"), [(2, 1), (100, 1), (101, 2)])
async def test_a_poll_costs_a_request_for_each_hundred_jobs(house: House, jobs: int, pages: int) -> None:
    """All are noted and get another time, and nothing more is asked, then or by the next hint."""
    house.simulator.behaviours.set(WAITING)
    patient = await _with_jobs(house, jobs, state="PENDING")
    calls = await _poll(patient)

    assert [call.method for call in calls] == [LIST] * pages
    assert (_due(house), _said(house)) == (0, {"PENDING": jobs})
    assert await _poll(patient) == []


async def test_what_a_list_shows_is_not_asked_for_again(house: House) -> None:
    """Two of ten jobs are due: the page shows all ten, and all ten get another time."""
    house.simulator.behaviours.set(LONG)
    patient = await _with_jobs(house, 10)
    await _poll(patient)
    before = {batch.id: batch.next_action_at for batch in _batches(house)}
    _make_due(house, _batches(house)[:2])
    calls = await _poll(patient)

    assert len(calls) == 1
    assert all(batch.next_action_at != before[batch.id] for batch in _batches(house))


async def test_one_due_job_among_many_is_one_request(house: House) -> None:
    """It is listed by its label, which costs no more than asking for it by name and shows its duplicates."""
    house.simulator.behaviours.set(LONG)
    patient = await _with_jobs(house, 3)
    await _poll(patient)
    first = _batches(house)[0]
    _make_due(house, [first])
    calls = await _poll(patient)

    assert [call.method for call in calls] == [LIST]
    assert first.id in calls[0].path


@pytest.mark.parametrize(("ended", "requests"), [(2, 3), (20, 2)])
async def test_jobs_that_have_ended_are_looked_for_in_the_cheaper_way(
    house: House, ended: int, requests: int
) -> None:
    """The running are listed; a few that are not among them are listed one by one, many together."""
    house.simulator.behaviours.set(WAITING)
    patient = await _with_jobs(house, 5, state="PENDING")
    house.simulator.behaviours.set(Behaviour())
    with patient.client() as client:
        client.submit([f"{n}" for n in range(ended)], model=MODEL, store="results", id="two")
    await patient.until(lambda: sum(bool(b.job_name) for b in house.services.ledger.batches("two")) == ended)
    await _google_says(house, "SUCCEEDED", ended)
    _make_due(house, [*_bound(house), *house.services.ledger.batches("two")])
    calls = await _poll(patient)

    assert [call.method for call in calls] == [LIST] * requests
    assert {batch.state for batch in house.services.ledger.batches("two")} == {BatchState.ENDED}
    assert _said(house) == {"PENDING": 5}


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.QUEUED, JobState.PAUSED, JobState.UPDATING])
async def test_a_job_that_has_not_ended_is_waited_for(house: House, state: JobState) -> None:
    """Whatever it does; it is bound, and its state is known, with the time since when."""
    house.simulator.behaviours.set(Behaviour(stuck_state=state))
    patient = await _with_jobs(house, 2, state=state.removeprefix("JOB_STATE_"))
    await _poll(patient)

    assert {batch.state for batch in _batches(house)} == {BatchState.BOUND}
    assert {batch.job_state for batch in _batches(house)} == {state}
    assert all(batch.job_state_since for batch in _batches(house))
    assert patient.letters.waiting == type(patient.letters.waiting)()


async def test_a_job_that_is_being_cancelled_is_waited_for(house: House) -> None:
    """It may still end in success."""
    house.simulator.behaviours.set(replace(LONG, stuck_state=JobState.CANCELLING))
    patient = await _with_jobs(house, 2)
    for batch in _batches(house):
        await house.services.vertex.cancel(batch.job_name)
    await _poll(patient)

    assert _said(house) == {"CANCELLING": 2}
    assert house.simulator.faults.log(CANCEL)


@pytest.mark.parametrize(
    ("behaviour", "end"),
    [
        (Behaviour(), JobState.SUCCEEDED),
        (Behaviour(partial=True), JobState.PARTIALLY_SUCCEEDED),
        (Behaviour(fail_code=13), JobState.FAILED),
        (Behaviour(expires=True), JobState.EXPIRED),
    ],
)
async def test_a_job_that_has_ended_is_read_however_it_ended(
    house: House, behaviour: Behaviour, end: JobState
) -> None:
    """What it has written counts; Google's word and error are kept."""
    house.simulator.behaviours.set(behaviour)
    patient = await _with_jobs(house, 5, state=end.removeprefix("JOB_STATE_"))
    await _poll(patient)

    assert {(batch.state, batch.job_state) for batch in _batches(house)} == {(BatchState.ENDED, end)}
    assert all((batch.job_error is not None) == (end is JobState.FAILED) for batch in _batches(house))
    assert Counter(task for task, _ in patient.letters.waiting)[TaskName.INGEST] == 5


@pytest.mark.parametrize("word", ["JOB_STATE_CONTEMPLATING", "JOB_STATE_UNSPECIFIED"])
async def test_a_state_that_nobody_knows_is_said_once_and_waited_for(house: House, word: str) -> None:
    """The first poll that sees it says so, later ones do not; the job is neither ended nor lost."""
    house.simulator.behaviours.set(replace(LONG, state_word=word))
    patient = await _with_jobs(house, 2, state=word.removeprefix("JOB_STATE_"))
    with capture_logs() as logs:
        await _poll(patient)
        _make_due(house, _batches(house))
        await _poll(patient)

    told = [line["state"] for line in logs if line["event"] == "unknown_job_state"]
    assert told == ([word] * 2 if word == "JOB_STATE_CONTEMPLATING" else [])
    assert {batch.job_state for batch in _bound(house)} == {word}


async def test_a_poll_sends_for_what_running_jobs_have_written(house: House) -> None:
    """A hint for each that runs and has named its output; none when early results are not wanted."""
    house.simulator.behaviours.set(LONG)
    patient = await _with_jobs(house, 3)
    await _poll(patient)
    hints = sorted(args for task, args in patient.letters.waiting if task is TaskName.INGEST)
    patient.letters.waiting.clear()
    _make_due(house, _batches(house))
    await _poll(patient.with_options(early_results=False))

    assert hints == sorted((batch.id,) for batch in _batches(house))
    assert not patient.letters.waiting


async def test_jobs_that_the_list_does_not_show_yet_are_asked_for_by_name(house: House) -> None:
    """A list that lags loses nobody: they stay bound, and no look counts as a miss."""
    house.simulator.behaviours.set(LONG)
    patient = await _with_jobs(house, 4)
    house.simulator.behaviours.set(replace(LONG, list_lag_s=1000.0))
    calls = await _poll(patient)

    assert Counter(call.method for call in calls) == {LIST: 2 + 4, GET: 4}
    assert {(batch.state, batch.attempts) for batch in _batches(house)} == {(BatchState.BOUND, 0)}
    assert (_said(house), _due(house)) == ({"RUNNING": 4}, 0)


@pytest.mark.parametrize("note", ["doubled-list", "halved-list", "empty-list"])
async def test_pages_that_repeat_or_leave_out_jobs_do_no_harm(house: House, note: str) -> None:
    """As when jobs come and go between two pages: who is left out is looked for."""
    house.simulator.behaviours.set(LONG)
    patient = await _with_jobs(house, 12)
    house.simulator.faults.add(Fault(method=LIST, action=Action.OTHER, note=note, times=2))
    await _poll(patient)

    assert (_said(house), _due(house)) == ({"RUNNING": 12}, 0)
    assert house.services.ledger.strays(ID) == []


async def test_a_job_that_is_gone_is_given_up_alone_and_never_made_again(house: House) -> None:
    """After enough misses a person must decide; the other jobs are noted as ever."""
    house.simulator.behaviours.set(LONG)
    patient = await _with_jobs(house, 5)
    hasty = replace(patient, services=replace(patient.services, options=replace(
        patient.services.options, backoff=Backoff(first_s=0.0, longest_s=0.0, attempts=3))))  # fmt: skip
    gone = _batches(house)[2]
    await house.services.vertex.cancel(gone.job_name)
    await _google_says(house, "CANCELLED", 1)
    await house.services.vertex.delete(gone.job_name)
    for _ in range(3):
        await _poll(hasty)

    assert Counter(batch.state for batch in _batches(house)) == {BatchState.BOUND: 4, BatchState.LOST: 1}
    assert "Google does not know" in house.services.ledger.batch(gone.id).reason
    assert len(house.simulator.accepted) == 5


async def test_two_polls_at_once_ask_no_more_than_one(house: House) -> None:
    """The second finds the first on duty and leaves the place to it."""
    house.simulator.behaviours.set(LONG)
    patient = await _with_jobs(house, 5)
    calls, none = await asyncio.gather(_poll(patient), _poll(patient))

    assert {call.number for call in [*calls, *none]} == {call.number for call in calls}
    assert (len(calls), _due(house)) == (1, 0)


async def test_a_poll_that_died_on_duty_is_followed_by_another(house: House) -> None:
    """After two heartbeats without a sign of it, the place is looked at again."""
    house.simulator.behaviours.set(LONG)
    patient = (await _with_jobs(house, 2)).with_options(heartbeat_s=0.15)
    assert house.services.ledger.take_duty("poll demo us-central1", lease_s=1.0) is not None

    assert await _poll(patient) == []
    async with asyncio.timeout(PATIENCE_S):
        while not await _poll(patient):  # noqa: ASYNC110  (a lease that runs out is no event)
            await asyncio.sleep(0.02)
    assert _due(house) == 0


@pytest.mark.parametrize("jobs", [1, 5])
@pytest.mark.parametrize("status", [403, 404])
async def test_a_list_that_cannot_be_had_is_said_and_asked_for_later(
    house: House, status: int, jobs: int
) -> None:
    """Its jobs stay bound, none is missed, and the reason can be read until they are seen again."""
    house.simulator.behaviours.set(LONG)
    patient = await _with_jobs(house, jobs)
    house.simulator.faults.add(Fault(method=LIST, action=Action.REFUSE, status=status, times=None))
    await _poll(patient)
    reasons = {batch.reason for batch in _bound(house)}
    house.simulator.faults.clear()

    assert _due(house) == 0
    assert all(str(status) in reason for reason in reasons)
    _make_due(house, _batches(house))
    await _poll(patient)
    assert {(batch.reason, batch.attempts) for batch in _bound(house)} == {("", 0)}


async def test_a_list_that_breaks_off_keeps_what_it_has_shown(house: House) -> None:
    """The first page is noted; only the job on the second is put off, and says why."""
    house.simulator.behaviours.set(WAITING)
    patient = await _with_jobs(house, 101, state="PENDING")
    house.simulator.faults.add(Fault(method=LIST, action=Action.REFUSE, status=403, skip=1))
    await _poll(patient)

    assert _due(house) == 0
    assert Counter("403" in batch.reason for batch in _batches(house)) == {True: 1, False: 100}


async def test_jobs_of_others_do_not_make_a_poll_longer_than_single_looks(house: House) -> None:
    """Two jobs are due in a project where others run hundreds: the list is left after two pages."""
    house.simulator.behaviours.set(WAITING)
    patient = await _with_jobs(house, 2, state="PENDING")
    theirs = replace(_batches(house)[0], id="theirs", output_prefix="gs://elsewhere/out")
    for _ in range(201):
        await post_behind_our_back(house, theirs)
    calls = await _poll(patient)

    assert [call.method for call in calls] == [LIST] * 4
    assert _due(house) == 0


@pytest.mark.parametrize("status", [401, 403])
async def test_a_job_that_may_not_be_read_is_waited_for_alone(house: House, status: int) -> None:
    """The others end and are paid for; it stays bound, says why, and is neither lost nor made again."""
    house.simulator.behaviours.set(Behaviour(list_lag_s=1000.0))
    several = house.with_options(batch_rows=1, running_jobs=len(PROMPTS), poll_interval_s=1.0)
    with several.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id=ID)
    await several.until(lambda: all(batch.job_name for batch in _batches(house)) and bool(_batches(house)))
    hidden = next(batch for batch in _batches(house) if batch.state is BatchState.BOUND)
    number = hidden.job_name.rpartition("/")[2]
    house.simulator.faults.add(
        Fault(method=GET, action=Action.REFUSE, status=status, times=None, match=number)
    )

    states = Counter({BatchState.INGESTED: len(PROMPTS) - 1, BatchState.BOUND: 1})
    await several.until(lambda: Counter(batch.state for batch in _batches(house)) == states)
    await several.until(lambda: bool(house.services.ledger.batch(hidden.id).reason))
    still = house.services.ledger.batch(hidden.id)
    house.simulator.faults.clear()
    status_at_end = await several.until_rest(ID)

    assert (still.state, still.attempts) == (BatchState.BOUND, 0)
    assert str(status) in still.reason
    assert status_at_end.counts.succeeded == len(PROMPTS) == len(house.simulator.accepted)
