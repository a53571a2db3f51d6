"""The objects of a submission: listed once, pinned to their generations, read to check and read to stage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any

import orjson

from vertexq.check.verdict import Prepared, Verdict, note_keys
from vertexq.errors import BadSource, NotFound, PreconditionFailed, Unavailable
from vertexq.families import family_for
from vertexq.google.checksum import crc32c_text, extend
from vertexq.intake import Intake
from vertexq.model import GcsUri, ObjectInfo, Submission
from vertexq.outputs import final_objects
from vertexq.sources.kept import KeptRows
from vertexq.sources.kinds import WILDCARD, listing_prefix, pattern_of
from vertexq.sources.reader import SourceReader
from vertexq.sources.template import Template
from vertexq.sources.whereabouts import Whereabouts
from vertexq.steps.services import Services
from vertexq.steps.stage_images import objects_below, row_of
from vertexq.uniqueness import KeyLog

OBJECTS_LIMIT = 100_000
"""How many objects one submission may have: their names and generations are held in memory."""


class Replaced(Exception):
    """A pinned object is not what it was, or an earlier try was split otherwise: stage from the beginning."""


async def pinned(services: Services, submission: Submission) -> list[ObjectInfo]:
    """Return the submission's objects and their generations: the same after every restart.

    The first look is written down in ``sources.jsonl`` beside the parts, so that a later one sees no other
    objects. Raise ``BadSource`` when a wildcard matches nothing, ``NotFound`` for an object that is gone.
    """
    uri = _pins_uri(services, submission)
    with suppress(NotFound):
        return await _pins(services, uri)
    found = await _looked_up(services, submission)
    lines = b"".join(orjson.dumps(_pin(one)) + b"\n" for one in found)
    try:
        await services.storage.upload(uri, lines, if_generation_match=0, content_type="application/jsonl")
    except PreconditionFailed:
        return await _pins(services, uri)
    return found


async def forget_pins(services: Services, submission: Submission) -> None:
    """Let the next try look at the objects anew."""
    await services.storage.delete(_pins_uri(services, submission))


async def checked(
    services: Services, submission: Submission, pins: Sequence[ObjectInfo], kept: KeptRows
) -> Verdict:
    """Read every object to its end before anything is uploaded; raise ``BadSource`` when it is bad.

    The rows are kept, as long as there is room for them.
    """
    intake, keys, places = intake_of(submission), KeyLog(), Whereabouts()
    try:
        async for rows in _rows(services, pins, intake, places):
            kept.add(rows)
            note_keys(rows, keys)
        return await asyncio.to_thread(closed, intake, keys, places)
    finally:
        keys.close()


async def sifted(
    services: Services,
    submission: Submission,
    pins: Sequence[ObjectInfo],
    verdict: Verdict,
    kept: KeptRows,
) -> AsyncIterator[list[Prepared]]:
    """Yield the rows again, a block at a time, as the verdict on all of them says; read anew if need be."""
    if kept.is_whole:
        for rows in kept:
            await asyncio.sleep(0)  # the heartbeat must beat
            yield list(verdict.sift(rows))
        return
    async for rows in _rows(services, pins, intake_of(submission), Whereabouts()):
        yield list(verdict.sift(rows))


def intake_of(
    submission: Submission,
    template: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
    *,
    only_check: bool = False,
) -> Intake:
    """Return an intake for the submission's records; ``only_check`` makes no requests of them."""
    if submission.template:
        template = Template.parse(submission.template)
    name = submission.sources[0]
    if len(submission.sources) > 1:
        name = f"{name} and {len(submission.sources) - 1} more"
    return Intake(
        family_for(submission),
        name=name,
        key_field=submission.key_field,
        policy=submission.policy,
        template=template,
        only_check=only_check,
        parameters=submission.parameters,
        model=submission.model,
    )


def closed(intake: Intake, keys: KeyLog, places: Whereabouts) -> Verdict:
    """Return the verdict; an error names every line in its own source too."""
    intake.note_duplicates(keys)
    try:
        return intake.close()
    except BadSource as error:
        lines = [fault.line for fault in intake.verdict().report.faults]
        raise BadSource(places.explained(str(error), lines)) from None


async def stored_bytes(services: Services, pin: ObjectInfo) -> AsyncGenerator[bytes]:
    """Yield one pinned generation; raise ``Replaced`` when it is gone, ``Unavailable`` when spoilt."""
    checksum = 0
    try:
        async with aclosing(services.storage.download(pin.uri, generation=pin.generation)) as pieces:
            async for data in pieces:
                checksum = extend(checksum, data)
                yield data
    except NotFound:
        await services.storage.info(pin.uri)  # raises NotFound when there is no newer one either
        raise Replaced(f"{pin.uri} was replaced while it was staged") from None
    if crc32c_text(checksum) != pin.crc32c:
        raise Unavailable(
            f"{pin.uri}: the bytes that came do not have the checksum {pin.crc32c}; read it again"
        )


async def _rows(
    services: Services, pins: Sequence[ObjectInfo], intake: Intake, places: Whereabouts
) -> AsyncIterator[list[Prepared]]:
    for pin in pins:
        name = str(pin.uri)
        places.begin(name, intake.lines)
        if (row := row_of(pin, intake)) is not None:
            await asyncio.sleep(0)
            yield row
            continue
        reader = SourceReader(name, intake, line_limit_bytes=services.options.line_limit_bytes)
        async with aclosing(stored_bytes(services, pin)) as pieces:
            async for data in pieces:
                for rows in reader.feed(data):
                    await asyncio.sleep(0)  # the heartbeat must beat, however much one piece unpacks to
                    yield rows
        for rows in reader.close():
            yield rows


async def _looked_up(services: Services, submission: Submission) -> list[ObjectInfo]:
    found: dict[str, ObjectInfo] = {}
    for source in submission.sources:
        before = len(found)
        uri = GcsUri.parse(source)
        async for one in _meant(services, uri, submission):
            found[str(one.uri)] = one
            if len(found) > OBJECTS_LIMIT:
                raise BadSource(
                    f"{source} stands for more than {OBJECTS_LIMIT:,} objects; submit fewer at once"
                )
        if len(found) == before and submission.policy.resume and uri.name.endswith("/"):
            raise BadSource(
                f"{source} holds no output of a job (predictions.jsonl); name the directory in which it is, "
                "as the job's outputInfo says"
            )
        if len(found) == before and WILDCARD in source:
            raise BadSource(
                f"{source} matches no object; nothing was sent. Check the bucket and the pattern."
            )
    return list(found.values())


def _meant(services: Services, source: GcsUri, submission: Submission) -> AsyncIterator[ObjectInfo]:
    """Yield the objects that one source stands for."""
    if source.name and not source.name.endswith("/"):
        return _matching(services, source)
    if submission.policy.resume:
        return _written(services, source)
    return objects_below(services, source, family_for(submission))


async def _written(services: Services, directory: GcsUri) -> AsyncIterator[ObjectInfo]:
    """Yield what a job has left in its output directory, as it is read when the job is ours."""
    found = [one async for one in services.storage.list(directory) if one.size_bytes]
    by_name = {one.uri.name.removeprefix(directory.name): one for one in found}
    for name in final_objects(list(by_name)):
        yield by_name[name]


async def _matching(services: Services, source: GcsUri) -> AsyncIterator[ObjectInfo]:
    if WILDCARD not in source.name:
        yield await _named(services, source)
        return
    pattern = pattern_of(source.name)
    async for one in services.storage.list(listing_prefix(source)):
        if pattern.fullmatch(one.uri.name) and not one.uri.name.endswith("/"):
            yield one


async def _named(services: Services, source: GcsUri) -> ObjectInfo:
    try:
        return await services.storage.info(source)
    except NotFound as error:
        raise NotFound(
            f"{source} is not there, or this project may not see it; put it there, or check its name, and "
            "enqueue the same again",
            status=error.status,
            code=error.code,
        ) from error


def _pins_uri(services: Services, submission: Submission) -> GcsUri:
    return services.options.staging.join(f"{submission.id}/sources.jsonl")


async def _pins(services: Services, uri: GcsUri) -> list[ObjectInfo]:
    there = await services.storage.info(uri)
    data = b"".join([piece async for piece in services.storage.download(uri, generation=there.generation)])
    return [_unpinned(line) for line in data.splitlines()]


def _pin(info: ObjectInfo) -> list[object]:
    return [info.uri.bucket, info.uri.name, info.generation, info.size_bytes, info.crc32c]


def _unpinned(line: bytes) -> ObjectInfo:
    bucket, name, generation, size_bytes, crc32c = orjson.loads(line)
    uri = GcsUri(bucket=bucket, name=name)
    return ObjectInfo(uri=uri, generation=generation, size_bytes=size_bytes, crc32c=crc32c)
