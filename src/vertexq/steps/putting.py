"""Putting a finished file into Cloud Storage, once, however often it is tried."""

from __future__ import annotations

from vertexq.errors import NotFound, PreconditionFailed
from vertexq.model import GcsUri, ObjectInfo
from vertexq.steps.parts import StagedFile
from vertexq.steps.services import Services

UPLOADS = 3
"""How often an object that keeps changing is uploaded again."""


async def put(services: Services, uri: GcsUri, file: StagedFile, *, look_first: bool = False) -> ObjectInfo:
    """Upload a file once: the same bytes stay, other bytes (of an unfinished try) are replaced.

    ``look_first`` saves sending what may be a gigabyte, when an earlier try may have done so.
    """
    there = await _there(services, uri) if look_first else None
    for _ in range(UPLOADS):
        if there is not None and there.crc32c == file.crc32c():
            return there
        try:
            return await services.storage.upload(
                uri,
                file.chunks(),
                if_generation_match=there.generation if there else 0,
                content_type="application/jsonl",
            )
        except PreconditionFailed:
            there = await _there(services, uri)
    if there is not None and there.crc32c == file.crc32c():
        return there
    raise PreconditionFailed(
        f"{uri} keeps changing while it is staged; does another ledger use this staging?"
    )


async def _there(services: Services, uri: GcsUri) -> ObjectInfo | None:
    try:
        return await services.storage.info(uri)
    except NotFound:
        return None
