"""The output lines of AutoML image classification into answers. No I/O.

Lines are ``SchemaPredictionResult`` and ``ClassificationPredictionResult`` of the aiplatform v1 discovery
document (revision 20261106). Its text on output files has failed instances in files of their own, with
another form of the error; both are read.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vertexq.families.row_status import RowError, careful, failed, neither, parse_status, said_error
from vertexq.results import Outcome
from vertexq.rows import Answer, AnswerColumns, Read, ReadContext, Unreadable

NOTHING_OVER_THRESHOLD: Final = "nothing_over_threshold"
"""The model answered, and no label is as sure as was asked for."""
UNEQUAL_LISTS: Final = "unequal_lists"
"""The lists of ids, names and confidences, which belong together, are of different lengths."""


class _Labels(msgspec.Struct, gc=False):
    ids: list[int | str] | None = None  # int64, which JSON may carry as text
    displayNames: list[str] | None = None  # noqa: N815  (Google's name)
    confidences: list[float] | None = None


class _Error(msgspec.Struct, gc=False):
    code: int | None = None
    message: str | None = None
    status: str | int | None = None


class _Line(msgspec.Struct, gc=False):
    key: Any = None
    status: Any = None
    error: _Error | None = None
    prediction: msgspec.Raw = msgspec.Raw()


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_labels = msgspec.json.Decoder(_Labels | None).decode
_encode = msgspec.json.Encoder().encode
_NONE = (b"", b"null", b"{}")


def reading(context: ReadContext | None = None) -> Read:
    """Return a reader of output lines."""
    del context
    return _read


@careful
def _read(line: bytes) -> AnswerColumns:
    """Read one output line: labels, or an error."""
    parsed = _decode_line(line)
    body = bytes(parsed.prediction)
    labels = None if body in _NONE else _decode_labels(body)
    if parsed.error is not None or parsed.status:
        if labels is not None:
            raise Unreadable("the row has an error and labels; neither can be trusted")
        return failed(parsed.key, _error(parsed.error) if parsed.error else parse_status(parsed.status))
    return _labelled(parsed.key, labels, body) if labels else failed(parsed.key, neither("labels"))


def _labelled(key: Any, labels: _Labels, body: bytes) -> Answer:
    """Read labels: the first one, the likeliest, is the text."""
    ids, names, shares = labels.ids or [], labels.displayNames or [], labels.confidences or []
    if not len(ids) == len(names) == len(shares):
        message = f"{len(ids)} ids, {len(names)} names and {len(shares)} confidences do not belong together"
        return Answer(key, Outcome.FAILED, error_message=message, response=body, reason=UNEQUAL_LISTS)
    found = [
        {"id": str(number), "label": name, "confidence": share}
        for number, name, share in zip(ids, names, shares, strict=True)
    ]
    return Answer(
        key,
        Outcome.SUCCEEDED,
        text=names[0] if names else None,
        response=body,
        reason=None if names else NOTHING_OVER_THRESHOLD,
        parsed=_encode(found),
    )


def _error(error: _Error) -> RowError:
    """Read ``{"status", "message"}`` or ``{"code", "message"}``."""
    status = error.status if error.code is None else error.code
    return said_error(status, error.message or "")
