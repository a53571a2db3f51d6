"""Putting a finished file into Cloud Storage, once, however often it is tried."""

from __future__ import annotations

from vertexq.errors import PreconditionFailed
from vertexq.model import GcsUri, ObjectInfo
from vertexq.steps.parts import StagedFile
from vertexq.steps.services import Services


async def put(services: Services, uri: GcsUri, file: StagedFile) -> ObjectInfo:
    """Upload a file once: the same bytes stay, other bytes (of an unfinished try) are replaced."""
    expected = 0
    for _ in range(3):
        try:
            return await services.storage.upload(
                uri, file.chunks(), if_generation_match=expected, content_type="application/jsonl"
            )
        except PreconditionFailed:
            there = await services.storage.info(uri)
            if there.crc32c == file.crc32c():
                return there
            expected = there.generation
    raise PreconditionFailed(
        f"{uri} keeps changing while it is staged; does another ledger use this staging?"
    )
