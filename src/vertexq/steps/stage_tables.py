"""Tables as sources: looked at, copied and checked by one statement, and cut into tables that jobs read.

Rows stay in BigQuery; only their keys and what was found about them are read, for the manifests. Safe to
repeat at any point: the moment and the limits are written down before anything is made, every table is made
under a name and a job id that follow from them, and one that is there is left alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice

import orjson

from vertexq.check.faults import shown
from vertexq.check.report import SHOWN_FAULTS
from vertexq.check.verdict import Prepared, aside
from vertexq.errors import BadSource, VertexqError
from vertexq.failpoints import Failpoint, reach
from vertexq.families import family_for
from vertexq.google.bigquery_messages import TableRef
from vertexq.google.bigquery_once import query_once, statement
from vertexq.keys import fingerprint
from vertexq.model import Estimate, Submission
from vertexq.sources.tables import SCHEME
from vertexq.steps.parts import Part
from vertexq.steps.services import Services
from vertexq.steps.stage_parts import Entering
from vertexq.steps.stage_sources import Replaced
from vertexq.steps.table_inputs import COPY_S, KEPT_S, TableInput
from vertexq.steps.table_pins import Pin, answer_of, form_of, pages, pin_of, pinned_table, table_at
from vertexq.steps.table_sql import TablePlan

AHEAD = 4
"""How many tables are made at a time, while the manifest of one is written."""
_PAST_US = 86_400 * 1_000_000
"""How long a table is read as of the moment at which it was first looked at, in microseconds.

BigQuery knows for two to seven days what a table was, as its dataset says.
https://docs.cloud.google.com/bigquery/docs/time-travel"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """A plan that has been made: how many rows are in it, and what the good ones will take."""

    pin: Pin
    plan: TablePlan
    good: int
    bad: int
    estimate: Estimate


async def staged_plan(services: Services, submission: Submission) -> Staging:
    """Copy and check the table of a submission; raise ``BadSource`` when its rows cannot be sent."""
    source = TableRef.at(submission.source)
    pin = await pinned_table(services, submission, source)
    reach(Failpoint.TABLE_PINNED)
    plan = await _planned(services, submission, source, pin)
    reach(Failpoint.TABLE_COPIED)
    staging = await _counted(services, submission, plan, pin)
    refused = staging.bad and not submission.policy.set_aside
    if refused or not staging.good:
        said = await _report(services, submission, staging)
        await _dropped(services, plan)
        raise BadSource(said)
    return staging


async def enter_tables(services: Services, submission: Submission, staging: Staging, entry: Entering) -> None:
    """Make a table for each job, write its manifest and enter it; rows with a fault have manifests only."""
    async with aclosing(_tables(services, submission, staging)) as tables:
        async for begin, end, made in tables:
            reach(Failpoint.TABLE_PART_MADE)
            part, size_bytes = await _part(services, submission, staging, begin, end)
            await entry.put(part, replace(made, size_bytes=size_bytes))
    for begin, end in _cuts(staging.good, staging.good + staging.bad, staging.pin.rows_limit):
        part, _ = await _part(services, submission, staging, begin, end)
        await entry.put(part)


async def drop_plan(services: Services, submission: Submission) -> None:
    """Delete the copies of which parts were made; they expire by themselves when this does not succeed."""
    with suppress(VertexqError):
        source = TableRef.at(submission.source)
        pin = await pin_of(services, submission)
        await _dropped(services, _plan_of(submission, source, pin))


async def _dropped(services: Services, plan: TablePlan) -> None:
    for each in filter(None, (plan.seen, plan.plan)):
        await services.bigquery.delete_table(each)


# the copy


async def _planned(services: Services, submission: Submission, source: TableRef, pin: Pin) -> TablePlan:
    """Return the plan, made when it is not there yet; raise ``Replaced`` when it was there and is gone."""
    plan = _plan_of(submission, source, pin)
    if await services.bigquery.table(plan.plan) is None:
        info = await table_at(services, source)
        if plan.seen is not None:
            await _copied(services, submission, pin, plan.seen, plan.look())
            reach(Failpoint.TABLE_SEEN)
        elif pin.at_us < max(int(info.created or 0) * 1000, _now_us(services) - _PAST_US):
            raise Replaced(f"bq://{source} is not kept as it was when it was first looked at")
        await _copied(services, submission, pin, plan.plan, plan.copy())
    return plan


def _now_us(services: Services) -> int:
    return int(services.ledger.now().timestamp() * 1_000_000)


async def _copied(services: Services, submission: Submission, pin: Pin, target: TableRef, sql: str) -> None:
    """Make a copy; raise ``Replaced`` when it was made before and is gone."""
    await _made(services, submission, pin, target, sql)
    if await services.bigquery.table(target) is None:
        raise Replaced(f"the copy of {submission.source} is gone")


def _plan_of(submission: Submission, source: TableRef, pin: Pin) -> TablePlan:
    name = f"vertexq_in_{_digest(submission.id, submission.fingerprint)}_{pin.at_us}"
    return TablePlan(
        source=source,
        plan=_at_home(submission, name),
        form=form_of(submission),
        key_column=pin.key_column,
        columns=pin.table_columns,
        wire_key=family_for(submission).wire.column,
        at_us=pin.at_us if pin.has_past else None,
        expires_ms=pin.at_us // 1000 + int(KEPT_S * 1000),
        aside=submission.policy.set_aside,
    )


async def _made(services: Services, submission: Submission, pin: Pin, target: TableRef, sql: str) -> None:
    """Run a statement that makes ``target`` unless that has gone well before."""
    project = submission.project or services.options.project
    purpose = f"vertexq-in-{_digest(str(target))}"
    await query_once(services.bigquery, project, pin.location, purpose, statement(sql), within_s=COPY_S)


def _at_home(submission: Submission, name: str) -> TableRef:
    """Return one of our tables: in the destination's dataset, or in the source's."""
    source = TableRef.at(submission.source)
    project, _, dataset = submission.destination.removeprefix(SCHEME).rpartition(".")
    return TableRef(
        project=project or source.project, dataset=dataset if project else source.dataset, table=name
    )


# the check


async def _counted(services: Services, submission: Submission, plan: TablePlan, pin: Pin) -> Staging:
    rows = await answer_of(services, submission, pin.location, plan.counts())
    bad = sum(int(row[1]) for row in rows if row[0] is not None)
    good, given, most, assumed = next((row[1:] for row in rows if row[0] is None), (0, 0, 0, 0))
    estimate = Estimate(rows=good, input_tokens=given, output_tokens=most, assumed_rows=assumed)
    return Staging(pin=pin, plan=plan, good=good, bad=bad, estimate=estimate)


async def _report(services: Services, submission: Submission, staging: Staging) -> str:
    """Say what is wrong with the rows; the first of them are named by their keys, or numbers."""
    rows, source = staging.good + staging.bad, submission.source
    if not rows:
        return f"{source} holds no rows; nothing was sent. Select at least one."
    head = f"{staging.bad:,} of {rows:,} rows cannot be enqueued; nothing was sent."
    plan, location = staging.plan, staging.pin.location
    found = await answer_of(services, submission, location, plan.offenders(SHOWN_FAULTS))
    lines = [_offender(plan, str(key), int(fault)) for _, key, fault in found]
    more = [f"and {staging.bad - len(lines):,} more"] if staging.bad > len(lines) else []
    return "\n  ".join([f"{source}: {head}", *lines, *more])


def _offender(plan: TablePlan, key: str, fault: int) -> str:
    check = plan.checks[fault]
    return f"row {shown(key)}: {check.text} ({check.rule}); {check.mend}"


# the parts


async def _part(
    services: Services, submission: Submission, staging: Staging, begin: int, end: int
) -> tuple[Part, int]:
    """Return the manifest of rows by number, and how many bytes their requests have."""
    family, plan = family_for(submission), staging.plan
    part, size_bytes = Part(family.wire, aside=begin >= staging.good), 0
    request = family.request_for(submission.parameters)
    number, family_column = begin, plan.form.column
    try:
        async for page in pages(services, submission, staging.pin.location, plan.rows(begin, end)):
            for key, given, most, held, fault, text in page.rows:
                number, size_bytes = number + 1, size_bytes + held
                if fault is not None:
                    part.set_aside([aside(key, number, plan.checks[int(fault)].reason)])
                    continue
                sent = None if family.wire.key else request({family_column: text})
                line = b"" if sent is None else orjson.dumps(sent) + b"\n"
                digest = b"" if sent is None else fingerprint(sent)
                part.add_staged(Prepared(key, digest, b"", number, 0, given, most), line)
    except BaseException:
        part.close()
        raise
    if part.rows != end - begin:
        part.close()
        raise Replaced(f"the copy of {submission.source} was changed")
    return part, size_bytes


async def _tables(
    services: Services, submission: Submission, staging: Staging
) -> AsyncGenerator[tuple[int, int, TableInput]]:
    """Yield the tables of all jobs with the numbers of their rows; some are made while one is looked at."""
    cuts = enumerate(_cuts(0, staging.good, staging.pin.rows_limit))
    making: deque[tuple[int, int, asyncio.Task[TableInput]]] = deque()

    def begin_more() -> None:
        for ordinal, (begin, end) in islice(cuts, AHEAD - len(making)):
            made = _table(services, submission, staging, begin, end, ordinal=ordinal)
            making.append((begin, end, asyncio.create_task(made)))

    try:
        begin_more()
        while making:
            begin, end, task = making.popleft()
            begin_more()
            yield begin, end, await task
    finally:
        tasks = [task for _, _, task in making]
        for task in tasks:
            task.cancel()  # its job goes on in BigQuery, and is found by its id
        await asyncio.gather(*tasks, return_exceptions=True)


def _cuts(begin: int, end: int, limit: int) -> list[tuple[int, int]]:
    return [(at, min(at + limit, end)) for at in range(begin, end, limit)]


async def _table(
    services: Services, submission: Submission, staging: Staging, begin: int, end: int, *, ordinal: int
) -> TableInput:
    """Return the table of one job, made when it is not there yet."""
    plan, pin = staging.plan, staging.pin
    target = replace(plan.plan, table=f"{plan.plan.table}_{ordinal:05d}")
    await _made(services, submission, pin, target, plan.part(target, begin, end))
    return TableInput(uri=target.address, generation=pin.at_us, size_bytes=0)


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()
