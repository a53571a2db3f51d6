"""A file store's directory: what is in it, and what is never left in it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import google_crc32c
import orjson
import pytest

from vertexq.errors import StoreRefused, Unreachable
from vertexq.stores import Store, open_store
from vertexq.testing.store_rows import STEP_BYTES, SUBMISSION, bad_line, chunk, row, source_range


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Open a prepared store."""
    store = open_store(f"jsonl:///{tmp_path}/out")
    store.prepare()
    return store


def _folder(store: Store) -> Path:
    return Path(store.location(SUBMISSION))


def _crc32c(data: bytes) -> str:
    value = cast("int", google_crc32c.value(data))  # pyright: ignore[reportUnknownMemberType]
    return f"{value:08x}"


def _published(store: Store) -> list[dict[str, object]]:
    """Read what the manifest names, the way a user's program does."""
    manifest = orjson.loads((_folder(store) / "_MANIFEST.json").read_bytes())
    parts = [(_folder(store) / part["name"]).read_bytes() for part in manifest["parts"]]
    assert [_crc32c(data) for data in parts] == [part["crc32c"] for part in manifest["parts"]]
    return [orjson.loads(line) for data in parts for line in data.splitlines()]


def test_published_lines_have_each_key_once(store: Store) -> None:
    """Who reads what the manifest names, or every ``part-*.jsonl``, sees the better rows only."""
    store.write(chunk(row("a", outcome="failed"), row("b")), fence=1)
    store.write(chunk(row("a", text="better"), start=STEP_BYTES, replacing=["a"]), fence=1)
    store.finish(SUBMISSION)

    assert sorted((line["key"], line["outcome"]) for line in _published(store)) == [
        ("a", "succeeded"),
        ("b", "succeeded"),
    ]
    assert len(b"".join(path.read_bytes() for path in _folder(store).glob("part-*.jsonl")).splitlines()) == 2


def test_a_retry_round_after_finish_is_published_too(store: Store) -> None:
    """``finish`` may follow more chunks; the old rows leave the files."""
    store.write(chunk(row("a", outcome="failed"), row("b", outcome="failed")), fence=1)
    store.finish(SUBMISSION)
    for number, key in enumerate(("a", "b"), 2):
        source = source_range(f"batch-{number}")
        store.write(chunk(row(key, attempt=number), source=source, replacing=[key]), fence=1)
        store.finish(SUBMISSION)

    assert sorted((line["key"], line["attempt"]) for line in _published(store)) == [("a", 2), ("b", 3)]


def test_a_response_stands_in_its_line_as_it_came(store: Store) -> None:
    """Its bytes are not re-encoded; only a line end between tokens becomes a space."""
    store.write(chunk(row("a", response=b'{"n": 1.50,\n "u": "\\u00e9", "n": 2}')), fence=1)

    (part,) = _folder(store).glob("part-*.jsonl")
    assert b'"response":{"n": 1.50,  "u": "\\u00e9", "n": 2}' in part.read_bytes()


def test_what_a_dead_writer_left_is_removed_by_finish(store: Store) -> None:
    """Half-written files, and parts whose commit never came and never can."""
    store.write(chunk(row("a"), quarantined=(bad_line(3),)), fence=1)
    folder = _folder(store)
    (part,) = folder.glob("part-*.jsonl")
    stray = folder / part.name.replace("0.jsonl", "7.jsonl")
    for path in (stray, folder / ".tmp-part", folder / ".progress" / ".tmp-x.json"):
        path.write_bytes(b"half a li")

    store.finish(SUBMISSION)

    left = {path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert not {stray.name, ".tmp-part", ".tmp-x.json"} & left
    assert len(left) == 4  # part, quarantine, record, manifest


def test_a_part_that_may_still_be_committed_is_left_alone(store: Store) -> None:
    """A file at the range's end may be another writer's, about to be committed."""
    store.write(chunk(row("a")), fence=1)
    (part,) = _folder(store).glob("part-*.jsonl")
    next_part = part.with_name(part.name.replace(f"{0:016d}", f"{STEP_BYTES:016d}"))
    next_part.write_bytes(b"")

    store.finish(SUBMISSION)

    assert next_part.exists()


def test_uncommitted_files_are_never_read(store: Store) -> None:
    """A part that no record names, and a half-written record, are not there for a reader."""
    store.write(chunk(row("a")), fence=1)
    folder = _folder(store)
    (part,) = folder.glob("part-*.jsonl")
    part.with_name("part-x.jsonl").write_bytes(part.read_bytes())
    (record,) = (folder / ".progress").glob("*.json")
    record.with_name(f".tmp-{record.name}").write_bytes(record.read_bytes())

    assert [result.key for result in store.results(SUBMISSION)] == ["a"]


def test_a_reader_survives_finish(store: Store) -> None:
    """``finish`` writes parts anew while somebody reads: the reader sees every key once all the same."""
    store.write(chunk(row("a", outcome="failed"), row("b")), fence=1)
    store.write(chunk(row("c"), start=STEP_BYTES), fence=1)
    later = source_range("zz")
    store.write(chunk(row("a"), row("d"), source=later, replacing=["a"]), fence=1)
    reading = store.results(SUBMISSION)
    seen = [next(reading).key]

    store.finish(SUBMISSION)
    seen += [result.key for result in reading]

    assert sorted(seen) == ["a", "b", "c", "d"]


def test_odd_batch_ids_stay_out_of_file_names(store: Store) -> None:
    """A name that is not safe is replaced by a plain word; the range's hash keeps files apart."""
    for batch_id in ("../../etc", "a/b", "\x1b[31m"):
        store.write(chunk(row(f"k{batch_id!r}"), source=source_range(batch_id)), fence=1)

    names = [path.name for path in _folder(store).glob("*.jsonl")]
    assert len(names) == 3
    assert all(name.startswith("part-batch-") for name in names)


def test_a_directory_that_cannot_be_made_is_unreachable(tmp_path: Path) -> None:
    """The message names the directory."""
    (tmp_path / "file").write_bytes(b"")
    for url in (f"jsonl:///{tmp_path}/file/out", f"sqlite:///{tmp_path}/file/r.db"):
        with pytest.raises(Unreachable, match="file"), open_store(url):
            pass


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """And stays as it was."""
    path = tmp_path / "notes.db"
    path.write_bytes(b"not a database, but long enough to look at" * 100)

    with pytest.raises(StoreRefused, match="not a usable SQLite file"), open_store(f"sqlite:///{path}"):
        pass

    assert path.read_bytes().startswith(b"not a database")
