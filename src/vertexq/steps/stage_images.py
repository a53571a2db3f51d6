"""Objects that are rows themselves, as images are: found below a prefix, made into rows by their names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import blake2b

import structlog

from vertexq.check.verdict import Prepared
from vertexq.errors import BadSource
from vertexq.families import Family
from vertexq.intake import Intake
from vertexq.keys import KEY_LIMIT_BYTES
from vertexq.model import GcsUri, ObjectInfo
from vertexq.steps.services import Services

log = structlog.get_logger(__name__)

_NAMED = 5  # of the objects that are left out


async def objects_below(services: Services, prefix: GcsUri, family: Family) -> AsyncIterator[ObjectInfo]:
    """Yield what lies below a prefix and is a row of the family; anything else is left out, and logged.

    Raise ``BadSource`` when there is none.
    """
    taken, left, named = 0, 0, list[str]()
    async for one in services.storage.list(prefix):
        if _row(family, one) is not None:
            taken += 1
            yield one
        elif not one.uri.name.endswith("/"):  # which only stands for a folder
            left += 1
            named += [one.uri.name] if left <= _NAMED else []
    if left:
        log.warning("objects_left_out", prefix=str(prefix), objects=left, first=named)
    if not taken:
        raise BadSource(
            f"{prefix} holds nothing that the model takes, among {left:,} objects; nothing was sent. Check "
            "the bucket, the prefix, and what the names end in"
        )


def row_of(pin: ObjectInfo, intake: Intake) -> list[Prepared] | None:
    """Return the row that an object is, none when it cannot be sent; None for an object that holds rows."""
    row = _row(intake.family, pin)
    if row is None:
        return None
    prepared = intake.row({intake.key_field: key_of(pin.uri.name), **row})
    return [] if prepared is None else [prepared]


def key_of(name: str) -> str:
    """Return the key of an object's row: its name, or a digest of one that is too long or not printable."""
    if name.isprintable() and len(name.encode()) <= KEY_LIMIT_BYTES:
        return name
    return f"object-{blake2b(name.encode(), digest_size=16).hexdigest()}"


def _row(family: Family, one: ObjectInfo) -> dict[str, object] | None:
    found = family.object_row(str(one.uri)) if family.object_row else None
    return dict(found) if found else None
