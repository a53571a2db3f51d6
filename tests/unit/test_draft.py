"""A draft: rows checked, fingerprinted and spooled before anything is enqueued."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from vertexq import spool
from vertexq.draft import Draft
from vertexq.errors import BadSource
from vertexq.families.gemini import FAMILY

LIMIT_BYTES = 1_000
ROWS = [{"key": "a", "prompt": "one"}, {"key": "b", "prompt": "two"}]


@contextmanager
def drafted(identity: Mapping[str, object] | None = None) -> Generator[Draft]:
    """Return an empty draft."""
    draft = Draft(FAMILY, name="rows", key_field="key", identity=identity or {"model": "m"})
    try:
        yield draft
    finally:
        draft.discard()


def fingerprint(rows: Iterable[object], identity: Mapping[str, object] | None = None) -> str:
    """Return the fingerprint of a draft of these rows."""
    with drafted(identity) as draft:
        draft.add_rows(rows)
        return draft.close()


def keys(draft: Draft) -> list[str]:
    """Return the keys of what was spooled."""
    return [row.key for chunk in draft.chunks() for row in spool.unpack(chunk)]


def written(path: Path, *rows: object) -> Path:
    """Write rows as JSON Lines."""
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def test_rows_are_spooled_in_their_order_and_can_be_read_again() -> None:
    """The ledger may ask for the chunks more than once, when a transaction is repeated."""
    with drafted() as draft:
        draft.add_rows(ROWS)
        draft.close()

        assert (keys(draft), keys(draft)) == (["a", "b"], ["a", "b"])


def test_a_file_a_stream_and_values_with_the_same_rows_are_the_same_submission(tmp_path: Path) -> None:
    """The fingerprint is over the requests, not over how they were written down."""
    path = written(tmp_path / "rows.jsonl", *ROWS)
    with drafted() as from_file, drafted() as from_stream:
        from_file.add_file(path, line_limit_bytes=LIMIT_BYTES)
        from_stream.add_stream(io.BytesIO(path.read_bytes()), line_limit_bytes=LIMIT_BYTES)

        assert from_file.close() == from_stream.close() == fingerprint(ROWS)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        ROWS[:1],
        [*reversed(ROWS)],
        [{"key": "a", "prompt": "one"}, {"key": "c", "prompt": "two"}],
        [{"key": "a", "prompt": "one"}, {"key": "b", "prompt": "two "}],
        [{"key": "ab", "prompt": "one"}, {"key": "b", "prompt": "two"}],
    ],
)
def test_other_rows_have_another_fingerprint(rows: list[object]) -> None:
    """A row less, another order, another key, another blank."""
    assert not rows or fingerprint(rows) != fingerprint(ROWS)


def test_another_model_store_or_label_has_another_fingerprint() -> None:
    """Whatever decides what is sent, and where, is part of the identity."""
    assert fingerprint(ROWS, {"model": "m", "store": "a"}) != fingerprint(ROWS, {"model": "m", "store": "b"})
    assert fingerprint(ROWS, {"store": "a", "model": "m"}) == fingerprint(ROWS, {"model": "m", "store": "a"})


def test_a_key_that_occurs_twice_is_refused_with_both_lines() -> None:
    """Also when a row's own number is the key of another."""
    with drafted() as draft:
        draft.add_rows(["first", {"key": "0", "prompt": "second"}])

        with pytest.raises(BadSource, match="line 2: the same key as line 1"):
            draft.close()


@pytest.mark.parametrize("name", ["missing.jsonl", ""])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    """It is not there, or it is a directory."""
    with drafted() as draft, pytest.raises(BadSource, match=r"cannot be read: .*; nothing was sent"):
        draft.add_file(tmp_path / name, line_limit_bytes=LIMIT_BYTES)


def test_a_line_over_the_limit_is_refused(tmp_path: Path) -> None:
    """With its number and its size."""
    path = written(tmp_path / "rows.jsonl", ROWS[0], {"prompt": "x" * LIMIT_BYTES})

    with drafted() as draft:
        draft.add_file(path, line_limit_bytes=LIMIT_BYTES)

        with pytest.raises(BadSource, match="line 2: the line has 1,013 bytes"):
            draft.close()


def test_a_generator_that_fails_leaves_nothing_behind() -> None:
    """The producer's own error comes through, and the draft can still be thrown away."""

    def rows() -> Iterator[object]:
        yield "one"
        raise LookupError("the producer's database is gone")

    with drafted() as draft, pytest.raises(LookupError):
        draft.add_rows(rows())


def test_who_waits_hears_how_many_rows_were_read() -> None:
    """A long source says now and then how far it has come, and at the end where it is."""
    heard: list[int] = []
    draft = Draft(FAMILY, name="rows", key_field="key", identity={}, on_rows=heard.append)
    draft.add_rows({"prompt": f"Say {number}"} for number in range(25_000))
    draft.close()
    draft.discard()

    assert heard == [10_000, 20_000, 25_000]
