"""What stood beside a request in its source and comes back beside its answer. No I/O."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from vertexq.families.base import Family

Beside = Callable[[bytes], bytes | None]
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def beside_of(family: Family) -> Beside:
    """Return what takes out of an output line, as a JSON object, all that is the producer's own.

    It returns None for a line that has nothing of the kind, or is no object.
    """
    tables = family.tables
    own = {family.wire.column, *((tables.column, *tables.reserved) if tables else ())}
    echoed = "instance" in own

    def beside(line: bytes) -> bytes | None:
        try:
            fields = _decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        fields |= _inside(fields) if echoed else {}
        kept = {name: value for name, value in fields.items() if name.casefold() not in own}
        return msgspec.json.encode(kept) if kept else None

    return beside


def _inside(fields: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """Return the fields of the instance that a line of some models echoes: all columns of its row."""
    instance = fields.get("instance")
    return _decode(instance) if instance and bytes(instance)[:1] == b"{" else {}
