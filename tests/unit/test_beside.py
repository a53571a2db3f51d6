"""What stood beside a request: taken out of output lines of every family."""

from __future__ import annotations

import orjson
import pytest

from vertexq.families import FAMILIES, family_named
from vertexq.families.base import Family
from vertexq.families.beside import beside_of
from vertexq.results import Outcome
from vertexq.rows import Answer, ReadContext


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b'{"key":"r0-a","request":{"x":1},"response":{},"status":"","processed_time":"t"}', None),
        (
            b'{"key":"r0-a","city":"Z\xc3\xbcrich","sold":12,"Status":""}',
            b'{"city":"Z\xc3\xbcrich","sold":12}',
        ),
        (b'{"nested":{"a":[1, 2]},"gone":null}', b'{"nested":{"a":[1, 2]},"gone":null}'),
        (b'{"instance":{"a":1},"predictions":[]}', b'{"instance":{"a":1},"predictions":[]}'),
        (b"[1]", None),
        (b"no JSON", None),
    ],
)
def test_what_is_the_producers_own_is_kept_as_it_is_written(line: bytes, found: bytes | None) -> None:
    """Fields that a job writes are left out whatever their case; the others keep their spelling."""
    assert beside_of(family_named("gemini"))(line) == found


def test_columns_that_come_back_in_an_echoed_instance_are_the_producers_own() -> None:
    """Jobs of text embeddings echo the whole row so, in files."""
    line = b'{"instance":{"content":"x","key":"r0-a","sold":12},"predictions":[],"status":""}'

    assert beside_of(family_named("text-embedding"))(line) == b'{"sold":12}'


_NAMES = ("status", "error", "processed_time", "instance", "prediction", "predictions", "request", "body")
_MORE = ("id", "type", "code", "message", "method", "url", "model", "choices", "content", "key", "custom_id")
_ANSWERS: dict[str, object] = {
    "gemini": {"candidates": [{"content": {"parts": [{"text": "yes"}]}, "finishReason": "STOP"}]},
    "claude": {"type": "message", "content": [{"type": "text", "text": "yes"}], "stop_reason": "end_turn"},
    "open-model": {"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]},
}
_ANSWERS["gemini-tuned"] = _ANSWERS["gemini"]
_VECTORS: list[object] = [{"embeddings": {"values": [1.0], "statistics": {"token_count": 1}}}]
_CONTEXT = ReadContext(
    submission_id="s", batch_id="b", attempt=1, rows=1, source_object="bq://d.t", source_generation=1
)


@pytest.mark.parametrize("family", [each for each in FAMILIES if each.tables], ids=lambda each: each.name)
@pytest.mark.parametrize("value", [7, "open", {"code": 500}, ["a"], None])
def test_no_column_that_a_table_may_have_changes_an_answer(family: Family, value: object) -> None:
    """What a reader looks at in a line is refused as a column's name, before anything is paid for."""
    assert family.tables is not None
    own = {family.wire.key or "key", family.tables.column, *family.tables.reserved}
    said = {"predictions": _VECTORS} if family.tables.plain else {"response": _ANSWERS[family.name]}
    line, beside = {(family.wire.key or "key"): "r0-a", **said}, {*_NAMES, *_MORE} - own
    read = family.reading(_CONTEXT)

    answer = Answer(*read(orjson.dumps({**dict.fromkeys(beside, value), **line})))

    assert answer == Answer(*read(orjson.dumps(line)))
    assert answer.outcome is Outcome.SUCCEEDED
