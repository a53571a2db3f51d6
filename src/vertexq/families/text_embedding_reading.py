"""Output lines of text embedding models into answers. No I/O.

``{"instance":{…},"predictions":[{"embeddings":{"statistics":{…},"values":[…]}}],"status":""}``: Google's
page on batch text embeddings, read 2026-11-21. Of a table the same comes without ``instance``: its fields
are columns, and ``predictions`` may be text. What was read from a table has our key among them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from vertexq.families.row_status import careful
from vertexq.families.vectors import Fields, answered, taken_apart, unanswered, vector_of
from vertexq.rows import Answer, Read, ReadContext, Unreadable

_ABSENT = msgspec.Raw()
_KEY = b'"key"'


class _Line(msgspec.Struct, gc=False):
    key: Any = None
    status: Any = None
    processed_time: str | None = None
    predictions: msgspec.Raw = _ABSENT
    instance: msgspec.Raw = _ABSENT

    @property
    def wire_key(self) -> Any:
        """Return our key, which stands beside the text when the rows came from a table."""
        instance = bytes(self.instance)
        return self.key if self.key or _KEY not in instance else _decode_instance(instance).key


class _Instance(msgspec.Struct, gc=False):
    key: Any = None


class _Statistics(msgspec.Struct, gc=False):
    token_count: int | None = None
    truncated: bool | None = None


class _Embeddings(msgspec.Struct, gc=False):
    statistics: _Statistics | None = None


class _Prediction(msgspec.Struct, gc=False):
    embeddings: _Embeddings | None = None


_decode_instance = msgspec.json.Decoder(_Instance).decode
_decode_line = msgspec.json.Decoder(_Line).decode
_decode_predictions = msgspec.json.Decoder(list[Fields] | None).decode
_decode_counts = msgspec.json.Decoder(_Prediction, strict=False).decode  # counts may come as text
_decode_text = msgspec.json.Decoder(str).decode


def reading(_context: ReadContext | None = None) -> Read:
    """Return a reader of output lines."""
    return _read


@careful
def _read(line: bytes) -> Answer:
    """Read one output line: a vector, or an error."""
    parsed = _decode_line(line)
    first = _first(bytes(parsed.predictions))
    if parsed.status or not first:
        if parsed.status and first:
            raise Unreadable("the row has an error status and a vector; neither can be trusted")
        return unanswered(parsed.wire_key, parsed.processed_time, parsed.status)
    apart = taken_apart(first, "embeddings")
    counts = (_decode_counts(apart.rest).embeddings or _Embeddings()).statistics or _Statistics()
    vector = vector_of(apart.values, None)
    return answered(
        parsed.wire_key, parsed.processed_time, apart, vector, counts.token_count, cut=bool(counts.truncated)
    )


def _first(predictions: bytes) -> Fields:
    """Return the prediction of a line; nothing when it has none."""
    if predictions[:1] == b'"':
        predictions = _decode_text(predictions).encode() or b"[]"
    found = _decode_predictions(predictions) if predictions else None
    return found[0] if found else {}
