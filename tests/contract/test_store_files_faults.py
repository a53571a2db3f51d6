"""File stores when something is wrong: killed writers, damaged files, a full disk; and what they publish."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from vertexq.errors import StoreRefused, Unreachable
from vertexq.results import Outcome
from vertexq.stores import Store, open_store
from vertexq.stores.parts_local import LocalShelf
from vertexq.testing.store_rows import STEP_BYTES, SUBMISSION, bad_line, chunk, full_row, row, source_range

KINDS = ["jsonl:///{}", "jsonl:///{}?compress=zstd", "parquet:///{}"]
READERS = {"jsonl": "read_ndjson", "parquet": "read_parquet"}


@pytest.fixture(params=KINDS, ids=["jsonl", "jsonl.zst", "parquet"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a directory that is not there yet."""
    return str(request.param).format(tmp_path / "out")


@pytest.fixture
def store(url: str) -> Store:
    """Open a prepared store."""
    store = open_store(url)
    store.prepare()
    return store


def _folder(store: Store) -> Path:
    return Path(store.location(SUBMISSION))


def _manifest(store: Store) -> dict[str, Any]:
    read: dict[str, Any] = orjson.loads((_folder(store) / "_MANIFEST.json").read_bytes())
    return read


def _fill(store: Store, *, chunks: int = 3) -> None:
    for at in range(chunks):
        made = chunk(row(f"k{at}"), row(f"m{at}"), start=at * STEP_BYTES, quarantined=(bad_line(at),))
        store.write(made, fence=1)


def test_a_writer_may_be_killed_at_every_change_of_the_disk(tmp_path: Path) -> None:
    """Before and after each file, record and removal, ``finish`` included: every key is there once."""
    command = [sys.executable, "-m", "tests.contract.dying_shelf", str(tmp_path / "out")]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40


def test_the_parts_of_a_range_become_one_file(store: Store) -> None:
    """And what the manifest says of it is so, as another program reads it."""
    _fill(store)
    store.finish(SUBMISSION)

    manifest = _manifest(store)
    (part,) = manifest["parts"]
    (quarantine,) = manifest["quarantine"]
    path = _folder(store) / part["name"]
    assert (part["rows"], part["bytes"], quarantine["rows"]) == (6, path.stat().st_size, 3)
    assert len(list(_folder(store).glob("part-*"))) == len(list(_folder(store).glob("quarantine-*"))) == 1
    reader = READERS[manifest["format"]]
    with duckdb.connect() as db:
        keys = db.execute(f"SELECT key FROM {reader}('{path}') ORDER BY key").fetchall()
    assert [key for (key,) in keys] == ["k0", "k1", "k2", "m0", "m1", "m2"]
    assert len(list(store.quarantine(SUBMISSION))) == 3


def test_a_reader_goes_on_while_parts_are_joined(store: Store) -> None:
    """It sees each row once, of the files that are gone too."""
    _fill(store)
    reading = store.results(SUBMISSION)
    seen = [next(reading).key]

    store.finish(SUBMISSION)
    seen += [result.key for result in reading]

    assert sorted(seen) == ["k0", "k1", "k2", "m0", "m1", "m2"]


def test_rows_of_a_round_after_finish_are_joined_too(store: Store) -> None:
    """The same range may go on after its parts were joined."""
    _fill(store)
    store.finish(SUBMISSION)
    late = chunk(row("k0", attempt=2, text="late"), start=3 * STEP_BYTES, replacing=["k0"])
    store.write(late, fence=1)
    before = {result.key: result.attempt for result in store.results(SUBMISSION)}
    store.finish(SUBMISSION)

    assert _manifest(store)["rows"] == 6
    assert {result.key: result.attempt for result in store.results(SUBMISSION)} == before
    assert before["k0"] == 2


def test_a_part_none_of_whose_rows_stay_is_gone(store: Store) -> None:
    """Its range is complete all the same."""
    store.write(chunk(row("a", outcome="failed")), fence=1)
    store.write(chunk(row("a", attempt=2), source=source_range("two"), replacing=["a"]), fence=1)
    for _ in range(2):
        store.finish(SUBMISSION)
        assert [(result.key, result.attempt) for result in store.results(SUBMISSION)] == [("a", 2)]
        assert [part["rows"] for part in _manifest(store)["parts"]] == [1]

    assert store.progress(source_range()).position == STEP_BYTES


def test_what_lands_after_a_reader_has_begun_is_left_out(store: Store) -> None:
    """So that a key is read once also when two ranges bring it in the meantime."""
    store.write(chunk(row("a")), fence=1)
    store.write(chunk(row("b"), source=source_range("two")), fence=1)
    reading = store.results(SUBMISSION)
    seen = [next(reading).key]
    for batch_id in ("batch-1", "two"):
        store.write(chunk(row("late"), source=source_range(batch_id), start=STEP_BYTES), fence=1)

    seen += [result.key for result in reading]

    assert sorted(seen) == ["a", "b"]


def test_a_file_that_was_cut_off_is_said_by_name(store: Store) -> None:
    """It is neither read in part nor joined, and nothing is removed."""
    _fill(store)
    part = sorted(_folder(store).glob("part-*"))[1]
    part.write_bytes(part.read_bytes()[:-9])

    with pytest.raises(StoreRefused, match=part.name):
        list(store.results(SUBMISSION))
    with pytest.raises(StoreRefused, match=part.name):
        store.finish(SUBMISSION)

    assert len(list(_folder(store).glob("part-*"))) == 3


def test_a_full_disk_is_unreachable_with_advice(url: str) -> None:
    """And nothing of the chunk is there."""
    work = (
        "import resource, sys\n"
        "from vertexq.stores import open_store\n"
        "from vertexq.testing.store_rows import chunk, row\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "with open_store(sys.argv[1]) as store:\n"
        "    store.write(chunk(row('a', text=str(list(range(5000))))), fence=1)\n"
    )
    done = subprocess.run([sys.executable, "-c", work, url], capture_output=True, text=True, check=False)

    assert "Unreachable" in done.stderr
    assert "free space" in done.stderr
    with open_store(url) as store:
        assert list(store.results(SUBMISSION)) == []


def test_a_range_that_is_locked_too_long_is_unreachable(tmp_path: Path) -> None:
    """A worker that hangs in the middle of a chunk does not make others hang."""
    shelf, other = LocalShelf(tmp_path), LocalShelf(tmp_path, wait_s=0.05)

    with shelf.hold("s", "r"), pytest.raises(Unreachable, match="locked"), other.hold("s", "r"):
        pass


def test_parts_of_another_layout_are_read_and_joined(url: str) -> None:
    """What older parts lack is null, also in the joined file."""
    joint = "&" if "?" in url else "?"
    with open_store(f"{url}{joint}columns=key,outcome,attempt,text") as store:
        store.write(chunk(full_row("old")), fence=1)
    with open_store(url) as store:
        store.write(chunk(full_row("new"), start=STEP_BYTES), fence=1)
        for _ in range(2):
            found = {result.key: result for result in store.results(SUBMISSION)}
            assert (found["old"].text, found["old"].cost_usd) == ("an answer to old", None)
            assert found["new"].cost_usd == full_row("new").cost_usd
            store.finish(SUBMISSION)


def test_outcomes_are_known_where_the_files_do_not_hold_them(url: str) -> None:
    """The records do: the better row stays, and failed ones are found."""
    joint = "&" if "?" in url else "?"
    with open_store(f"{url}{joint}columns=key:id,text") as store:
        store.write(chunk(row("a"), row("b", outcome="failed"), row("c", outcome="failed")), fence=1)
        again = chunk(row("a", outcome="failed", attempt=2), row("c", attempt=2), source=source_range("two"))
        store.write(again, fence=1)
        for _ in range(2):
            failed = store.results(SUBMISSION, outcomes=frozenset({Outcome.FAILED}))
            assert [(result.key, result.attempt) for result in failed] == [("b", 1)]
            store.finish(SUBMISSION, repeats=True)
        assert _manifest(store)["rows"] == 3
