"""Objects that are used as they are: checked, one batch an object; nothing is uploaded but their manifests.

Their lines are ``{"request": …}`` with fields of the producer's own beside it. Answers are matched by the key
among those fields when Google echoes it, else by the request's fingerprint (``steps/matching.py``).

A submission that resumes has a job's output as its objects. Google takes over rows that have their answer
there, and runs the others; the former are noted, as they are not paid for a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

from vertexq.check.answered import has_answer
from vertexq.check.faults import shown
from vertexq.check.shapes import Group, kind
from vertexq.check.verdict import Prepared, Verdict, note_keys
from vertexq.check.walk import Walk
from vertexq.errors import BadSource, NotFound
from vertexq.families import Family, family_for
from vertexq.families.base import NoRequest
from vertexq.families.wire import parsed
from vertexq.intake import Intake
from vertexq.keys import producers_key
from vertexq.lines import Block, LineSplitter, Oversized
from vertexq.model import Batch, Estimate, GcsUri, ObjectInfo, Submission
from vertexq.sources.whereabouts import Whereabouts
from vertexq.steps.parts import Part, is_own
from vertexq.steps.services import Services
from vertexq.steps.stage_parts import Entering
from vertexq.steps.stage_sources import closed, intake_of, stored_bytes
from vertexq.steps.table_names import table_at
from vertexq.uniqueness import KeyLog

_NOT_BESIDE = frozenset({"request", "response", "status", "processed_time"})
"""The request, and what an earlier job wrote whose output is resumed."""


async def unchanged(services: Services, batch: Batch) -> bool:
    """Tell whether a batch's input is still the generation that was checked; ours is, as long as it is there.

    To be asked right before the paid call: an object that somebody replaced holds rows that nobody checked,
    and a staged table expires.
    """
    if table := table_at(batch.input_uri):
        return await services.bigquery.table(table) is not None
    if not is_own(batch):
        return True
    try:
        found = await services.storage.info(GcsUri.parse(batch.input_uri))
    except NotFound:
        return False
    return found.generation == batch.input_generation


def replaced(batch: Batch) -> str:
    """Say why a batch whose input has changed is not sent."""
    return (
        f"{batch.input_uri} was replaced or deleted after it had been checked, so no job was sent; cancel "
        "this submission, and enqueue the object again under another id"
    )


async def checked_as_is(services: Services, submission: Submission, pins: Sequence[ObjectInfo]) -> Verdict:
    """Read every object to its end; raise ``BadSource`` when one of them cannot be a job's input as it is."""
    intake, keys, places = _intake(submission, only_check=True), KeyLog(), Whereabouts()
    spared = Estimate()
    try:
        for pin in pins:
            places.begin(str(pin.uri), intake.lines)
            spared = _sum(spared, await _check(services, submission, pin, intake, keys))
        verdict = await asyncio.to_thread(closed, intake, keys, places)
        return replace(verdict, estimate=_sum(verdict.estimate, spared, sign=-1))
    finally:
        keys.close()


async def enter_as_is(
    services: Services, submission: Submission, pins: Sequence[ObjectInfo], entry: Entering
) -> None:
    """Write each object's manifest and enter it as a batch."""
    intake = _intake(submission)
    for pin in pins:
        part = Part(family_for(submission).wire)
        try:
            async for row, line in _rows(services, pin, intake):
                part.add_staged(row, line, carried=_is_carried(submission, line))
        except BaseException:
            part.close()
            raise
        await entry.put(part, pin)


class AsIsRows:
    """Takes the rows of one object: what stands beside their requests is imported too, as columns.

    What a family would fill in must be there.
    """

    def __init__(self, family: Family) -> None:
        self._family = family
        self._columns = Group()

    def __call__(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a row that may stay as it is; raise ``NoRequest`` for one that must be written anew."""
        family = self._family
        request = family.wire.request_of(record)
        if not isinstance(request, Mapping):
            name = family.tables.column if family.tables else "request"
            raise NoRequest(f'a row that is used as it is must have a "{name}"; submit it without as_is')
        if not family.check.imported:
            for flaw in family.check.check_names(cast("Mapping[str, Any]", request)):
                raise NoRequest(f"{flaw.text} in the request, where a line stays as it is")
            return record
        if len({name.casefold() for name in record}) < len(record):
            raise NoRequest("two names beside the request differ by their case only; columns do not")
        self._import({name: value for name, value in record.items() if name not in _NOT_BESIDE})
        return record

    def _import(self, beside: Mapping[str, Any]) -> None:
        walk = Walk()
        for name, value in beside.items():
            if isinstance(value, Mapping | list):
                raise NoRequest(f"the field {shown(name)!r} beside the request must be a text or a number")
            walk.field(name, value, "", 0)
        for flaw in walk.flaws:
            raise NoRequest(f"beside the request: {flaw.text}")
        if clash := self._columns.clash(walk.facts):
            path, there, here = clash
            known = kind(there) if there != here else "written in another case"
            raise NoRequest(
                f"the field {shown(path[1:])!r} beside the request is {kind(here)} here and {known} in an "
                "earlier row; submit it without as_is, which leaves such fields out"
            )
        self._columns.merge(walk.facts)


def _intake(submission: Submission, *, only_check: bool = False) -> Intake:
    """Return an intake that tells shapes apart: each object is a job of its own and must have one shape."""
    policy = replace(submission.policy, split_conflicts=True)
    return intake_of(
        replace(submission, policy=policy), AsIsRows(family_for(submission)), only_check=only_check
    )


async def _check(
    services: Services, submission: Submission, pin: ObjectInfo, intake: Intake, keys: KeyLog
) -> Estimate:
    """Check one object; return what its rows would take that have their answer already."""
    family, before, first, rows = family_for(submission), intake.lines, None, 0
    if pin.size_bytes > family.input_limit_bytes:
        raise _too_large(pin, f"{pin.size_bytes:,} bytes", f"{family.input_limit_bytes:,}")
    spared = Estimate()
    async for row, line in _rows(services, pin, intake):
        note_keys((row,), keys)
        if _is_carried(submission, line):
            spared = _sum(spared, _alone(row))
        first, rows = first or row, rows + 1
        if row.group != first.group:
            raise BadSource(
                f"{pin.uri} cannot be sent as it is: lines {first.line - before:,} and {row.line - before:,} "
                "have one path with two types, which Google's import refuses in one job; submit it without "
                "as_is and with split_conflicts"
            )
    if rows > family.rows_limit:
        raise _too_large(pin, f"{rows:,} rows", f"{family.rows_limit:,}")
    if first is None and not intake.fault_count:
        raise BadSource(f"{pin.uri} holds no rows; nothing was sent")
    return spared


def _is_carried(submission: Submission, line: bytes) -> bool:
    return submission.policy.resume and has_answer(parsed(line) or {})


def _alone(row: Prepared) -> Estimate:
    """Return what one row takes."""
    return Estimate(
        rows=1,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        assumed_rows=not row.output_tokens,
    )


def _sum(one: Estimate, other: Estimate, *, sign: int = 1) -> Estimate:
    return replace(
        one,
        rows=one.rows + sign * other.rows,
        input_tokens=one.input_tokens + sign * other.input_tokens,
        output_tokens=one.output_tokens + sign * other.output_tokens,
        assumed_rows=one.assumed_rows + sign * other.assumed_rows,
    )


def _too_large(pin: ObjectInfo, what: str, limit: str) -> BadSource:
    return BadSource(
        f"{pin.uri} cannot be sent as it is: it has {what} and a job takes {limit}; submit it without as_is, "
        "and it is split"
    )


async def _rows(services: Services, pin: ObjectInfo, intake: Intake) -> AsyncIterator[tuple[Prepared, bytes]]:
    """Yield the good rows with their lines as they are stored, newline included."""
    intake.template = AsIsRows(intake.family)  # each object is imported by itself
    splitter = LineSplitter(limit_bytes=services.options.line_limit_bytes)
    async with aclosing(stored_bytes(services, pin)) as pieces:
        async for data in pieces:
            await asyncio.sleep(0)  # the heartbeat must beat
            for item in splitter.feed(data):
                for found in _taken(item, intake):
                    yield found
    for item in splitter.close():
        for found in _taken(item, intake):
            yield found


def _taken(item: Block | Oversized, intake: Intake) -> list[tuple[Prepared, bytes]]:
    if isinstance(item, Oversized):
        intake.block(item)
        return []
    resumes = intake.policy.resume
    return [
        (row._replace(key=producers_key(row.key)) if resumes else row, line + b"\n")
        for line in item.lines
        for row in intake.block(Block(item.offset, [line]))
    ]
