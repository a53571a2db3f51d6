"""What stood beside a request: taken out of output lines of every family."""

from __future__ import annotations

import pytest

from vertexq.families import family_named
from vertexq.families.beside import beside_of

BESIDE = beside_of(family_named("gemini"))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b'{"key":"r0-a","request":{"x":1},"response":{},"status":"","processed_time":"t"}', None),
        (
            b'{"key":"r0-a","city":"Z\xc3\xbcrich","sold":12,"Status":""}',
            b'{"city":"Z\xc3\xbcrich","sold":12}',
        ),
        (b'{"nested":{"a":[1, 2]},"gone":null}', b'{"nested":{"a":[1, 2]},"gone":null}'),
        (
            b'{"instance":{"content":"x","sold":12},"predictions":[],"status":""}',
            b'{"content":"x","sold":12}',
        ),
        (b"[1]", None),
        (b"no JSON", None),
    ],
)
def test_what_is_the_producers_own_is_kept_as_it_is_written(line: bytes, found: bytes | None) -> None:
    """Fields that a job writes are left out whatever their case; the others keep their spelling."""
    assert BESIDE(line) == found
