"""The simulator's import kills a whole job for the same rows as Google's does, with the same words."""

from __future__ import annotations

import json

import pytest

from vertexq.model import JobError
from vertexq.simulator.importer import Importer

Rows = list[dict[str, object]]
NOTHING: dict[str, object] = {}
HELLO = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


def imported(*lines: object) -> tuple[Importer, JobError | None]:
    """Import lines (bytes as they are, all else as JSON) up to the first error."""
    importer = Importer()
    for line in lines:
        if error := importer.feed(line if isinstance(line, bytes) else json.dumps(line).encode()):
            return importer, error
    return importer, importer.close()


def deep(levels: int) -> dict[str, object]:
    """Return objects inside objects, ``levels`` deep."""
    return {"x": deep(levels - 1) if levels > 1 else 1}


KILLERS: list[tuple[Rows, str]] = [
    (
        [{"request": {"type": "string"}}, {"request": {"type": ["string", "null"]}}],
        "Repeated field must be imported as a JSON array. Field: request.type",
    ),
    (
        [{"request": deep(16)}],
        "Schema nested too deeply, at least 16 compared to the maximum allowed level of 15",
    ),
    ([{"request": {"$defs": 1}}], 'Invalid field name "$defs"'),
    ([{"request": {"full name": 1}}], 'Invalid field name "full name"'),
    ([{"custom-id": 1, "request": HELLO}], 'Invalid field name "custom-id"'),
    (
        [{"request": {"tools": [{"google_search": NOTHING}]}}],
        "Cannot store struct 'request.tools.google_search' with no fields",
    ),
    ([{"request": NOTHING}], "Cannot store struct 'request' with no fields"),
    ([{"request": {"enum": ["a", None]}}], "Only optional fields can be set to NULL. Field: enum"),
    ([{"request": {"a": 1}}, {"request": {"a": {"b": 1}}}], "mixed. Field: request.a"),
]


@pytest.mark.parametrize(("rows", "fragment"), KILLERS)
def test_a_row_kills_the_job(rows: Rows, fragment: str) -> None:
    """The error has code 3 and Google's lead, then the fragment."""
    _, error = imported(*rows)

    assert error is not None
    assert error.code == 3
    assert error.message.startswith("Failed to import data. Please check 'Prepare input' section")
    assert error.message.endswith(fragment)


@pytest.mark.parametrize("line", [b"{", b"[1]", b'"x"', b'{"prompt": 1}', b'{"request": "x"}', b"\xff"])
def test_a_line_that_is_no_row_kills_the_job(line: bytes) -> None:
    """Broken JSON, other JSON than an object, and no request at all."""
    _, error = imported({"request": HELLO}, line)

    assert error is not None
    assert error.code == 3
    assert "ow 2" in error.message


def test_parts_must_be_an_array() -> None:
    """An object gives the importer's own syntax error, text a system error; Google says no more."""
    with_object = {"request": {"contents": [{"role": "user", "parts": {"text": "hello"}}]}}
    with_text = {"request": {"contents": [{"role": "user", "parts": "hello"}]}}

    errors = [imported(row)[1] for row in (with_object, with_text)]

    assert [error.code for error in errors if error] == [3, 13]
    assert errors[0] is not None
    assert "_vertex_row_id" in errors[0].message


def test_an_empty_input_is_refused() -> None:
    """There is nothing to predict."""
    _, error = imported()

    assert error is not None
    assert "no rows" in error.message


def test_ordinary_rows_pass() -> None:
    """Rows may differ in what they have; nulls outside of arrays do no harm."""
    other = {"key": "k-2", "request": {**HELLO, "generationConfig": {"seed": None, "topP": 1}}}

    importer, error = imported({"key": "k-1", "request": HELLO}, other, {"request": deep(15)})

    assert error is None
    assert importer.rows == 3
    assert set(importer.shape.at("request").below) == {"contents", "generationConfig", "x"}


def test_the_check_can_be_left_out() -> None:
    """Then only what is no row at all is refused."""
    importer = Importer(check=False)

    errors = [importer.feed(b'{"request": {"tools": {}, "$x": 1}}'), importer.feed(b"{"), importer.close()]

    assert [error is None for error in errors] == [True, False, True]


def test_the_digest_is_of_all_lines_in_order() -> None:
    """The same lines give the same digest, another order another one."""
    one, two = {"request": {"a": 1}}, {"request": {"a": 2}}

    digests = [imported(*rows)[0].digest for rows in ((one, two), (one, two), (two, one))]

    assert digests[0] == digests[1] != digests[2]
