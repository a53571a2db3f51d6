"""``vertexq submit``: a file, standard input or an object becomes a submission, or a clear error."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.service.command_line import MODEL, CommandLine, command_line, lines
from vertexq.ledger import Ledger

ROWS = ({"id": "a", "prompt": "one"}, {"id": "b", "prompt": "two"})


@pytest.fixture
def cli(tmp_path: Path, valkey_url: str) -> CommandLine:
    """Return a command line with a broker."""
    return command_line(tmp_path, VERTEXQ_BROKER_URL=valkey_url)


def submit(cli: CommandLine, source: object, *options: object, stdin: bytes | None = None) -> tuple[int, Any]:
    """Submit as a script would."""
    said = cli.run("submit", source, "-m", MODEL, "-s", "results", *options, "--json", stdin=stdin)
    return said.code, said.json()


def test_a_file_becomes_a_submission(cli: CommandLine, tmp_path: Path) -> None:
    """It is in the ledger with everything that was asked for."""
    path = lines(tmp_path / "rows.jsonl", *ROWS)
    options = (
        "--id",
        "nightly",
        "--key",
        "id",
        "--label",
        "team=search",
        "--project",
        "my-project",
        "--location",
        "us-central1",
    )

    code, said = submit(cli, path, *options)

    assert (code, said["id"], said["state"]) == (0, "nightly", "queued")
    with closing(Ledger.open(cli.environ["VERTEXQ_LEDGER_URL"])) as ledger:
        submission = ledger.submission("nightly")
    assert (submission.rows, submission.key_field, dict(submission.labels)) == (2, "id", {"team": "search"})
    assert (submission.project, submission.location) == ("my-project", "us-central1")


def test_people_are_told_how_to_go_on(cli: CommandLine, tmp_path: Path) -> None:
    """The id, the state and the next command."""
    said = cli.run(
        "submit", lines(tmp_path / "rows.jsonl", *ROWS), "-m", MODEL, "-s", "results", "--id", "n-1"
    )

    assert (said.code, said.err) == (0, "")
    assert "id            n-1\nstate         queued\n" in said.out
    assert said.out.endswith("Watch it with: vertexq watch n-1\n")


def test_standard_input_is_the_same_submission_as_the_file(cli: CommandLine, tmp_path: Path) -> None:
    """Enqueued twice under one id it is one submission, wherever the rows came from."""
    path = lines(tmp_path / "rows.jsonl", *ROWS)

    _, first = submit(cli, path, "--id", "nightly")
    code, second = submit(cli, "-", "--id", "nightly", stdin=path.read_bytes())

    assert (code, second["created_at"]) == (0, first["created_at"])


def test_an_object_in_cloud_storage_is_enqueued_by_its_name(cli: CommandLine) -> None:
    """Its rows are counted and checked when it is staged."""
    code, said = submit(cli, "gs://bucket/rows.jsonl")

    assert (code, said["rows"]["sent"]) == (0, 0)


def test_a_producer_without_a_ledger_enqueues_through_the_broker(tmp_path: Path, valkey_url: str) -> None:
    """A gs:// source goes; rows of its own cannot."""
    cli = command_line(tmp_path, VERTEXQ_BROKER_URL=valkey_url, VERTEXQ_LEDGER_URL="none")

    assert submit(cli, "gs://bucket/rows.jsonl")[0] == 0
    code, said = submit(cli, lines(tmp_path / "rows.jsonl", *ROWS))
    assert (code, "VERTEXQ_LEDGER_URL" in said["error"]) == (2, True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not json\n", "line 1: not valid JSON"),
        (b'[{"prompt":"a"}]', "this is a JSON array"),
        (b"", "holds no rows"),
        (b'{"prompt":"a","key":"x"}\n{"prompt":"b","key":"x"}\n', "line 2: the same key as line 1"),
    ],
)
def test_bad_rows_are_refused_and_nothing_stays_behind(
    cli: CommandLine, tmp_path: Path, content: bytes, message: str
) -> None:
    """One error that names the lines; the ledger has no submission."""
    (tmp_path / "rows.jsonl").write_bytes(content)

    code, said = submit(cli, tmp_path / "rows.jsonl")

    assert (code, said["kind"]) == (2, "BadSource")
    assert message in said["error"]
    assert cli.run("status", "--json").json() == []


@pytest.mark.parametrize(
    ("args", "kind"),
    [
        (("missing.jsonl", "-m", MODEL, "-s", "results"), "BadSource"),
        (("", "-m", MODEL, "-s", "results"), "BadSource"),
        (("gs://bucket", "-m", MODEL, "-s", "results"), "BadSource"),
        (("bq://p.d", "-m", MODEL, "-s", "results"), "BadSource"),
        (("bq://p.d.t", "bq://p.d.u", "-m", MODEL, "-s", "results"), "BadSource"),
        (("bq://p.d.t", "rows.jsonl", "-m", MODEL, "-s", "results"), "BadSource"),
        (("https://example.org/rows.jsonl", "-m", MODEL, "-s", "results"), "BadSource"),
        (("gs://b/o", "-m", "gpt-4o", "-s", "results"), "UnknownModel"),
        (("gs://b/o", "-m", MODEL, "-s", "nowhere"), "UnknownStore"),
        (("gs://b/o", "-m", MODEL, "-s", "results", "--id", "../up"), "BadInput"),
        (("gs://b/o", "-m", MODEL, "-s", "results", "--label", "team"), "BadInput"),
    ],
)
def test_what_cannot_be_enqueued_is_an_error_of_its_kind(
    cli: CommandLine, args: tuple[str, ...], kind: str
) -> None:
    """Exit code 2, one sentence, nothing enqueued."""
    said = cli.run("submit", *args, "--json")

    assert (said.code, said.json()["kind"]) == (2, kind)
    assert cli.run("status", "--json").json() == []


def test_an_empty_source_is_said_to_be_missing(cli: CommandLine) -> None:
    """An unset variable of a shell ends up like this; the current directory is not meant."""
    said = cli.run("submit", "", "-m", MODEL, "-s", "results")

    assert (said.code, said.err.startswith("error: no source was given: ")) == (2, True)


@pytest.mark.parametrize("name", ["", "NOPE X", "RESULTS", "a-b", "a\n"])
def test_a_name_that_no_store_can_have_is_explained(cli: CommandLine, name: str) -> None:
    """No variable is advised that a shell could not set."""
    said = cli.run("submit", "gs://b/o", "-m", MODEL, "-s", name)

    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "is no name of a store: it has letters (in lower case), digits and _ only" in said.err
    assert "VERTEXQ_STORE_RESULTS" in said.err


def test_several_stores_are_named_one_after_the_other(tmp_path: Path, valkey_url: str) -> None:
    """The first stays the first; each name is looked at, and ``results`` reads those that were named only."""
    lake = f"jsonl:///{tmp_path}/lake"
    cli = command_line(tmp_path, VERTEXQ_BROKER_URL=valkey_url, VERTEXQ_STORE_LAKE=lake)
    path = lines(tmp_path / "rows.jsonl", *ROWS)

    code, said = submit(cli, path, "-s", "lake", "--id", "both")
    again = submit(cli, path, "-s", "nowhere")
    read = [cli.run("results", "both", "-s", name, "--json") for name in ("lake", "other")]

    assert (code, said["store"], said["stores"]) == (0, "results,lake", ["results", "lake"])
    assert (again[0], again[1]["kind"]) == (2, "UnknownStore")
    assert [(one.code, one.out) for one in read[:1]] == [(0, "")]
    assert (read[1].code, read[1].json()["kind"]) == (2, "UnknownStore")


def test_without_a_ledger_nobody_is_told_to_watch(tmp_path: Path, valkey_url: str) -> None:
    """It could not be watched from here; waiting is refused before anything is sent."""
    cli = command_line(tmp_path, VERTEXQ_BROKER_URL=valkey_url, VERTEXQ_LEDGER_URL="none")
    args = ("submit", "gs://bucket/rows.jsonl", "-m", MODEL, "-s", "results")

    sent, refused = cli.run(*args), cli.run(*args, "--wait")

    assert (sent.code, "vertexq watch" in sent.out) == (0, False)
    assert (refused.code, "--wait needs a ledger" in refused.err, refused.out) == (2, True, "")


def test_another_content_under_the_same_id_is_refused(cli: CommandLine, tmp_path: Path) -> None:
    """Exit code 2: the first submission is as it was."""
    submit(cli, lines(tmp_path / "rows.jsonl", *ROWS), "--id", "nightly")

    code, said = submit(cli, lines(tmp_path / "other.jsonl", *ROWS[:1]), "--id", "nightly")

    assert (code, said["kind"]) == (2, "IdConflict")


def test_a_ledger_that_cannot_be_reached_ends_with_3(tmp_path: Path, valkey_url: str) -> None:
    """The message names the variable and not the password."""
    url = "postgresql://vertexq:hunter2@127.0.0.1:9/vertexq"
    cli = command_line(tmp_path, VERTEXQ_BROKER_URL=valkey_url, VERTEXQ_LEDGER_URL=url)

    said = cli.run("submit", lines(tmp_path / "rows.jsonl", *ROWS), "-m", MODEL, "-s", "results", "--json")

    assert (said.code, said.json()["kind"]) == (3, "Unreachable")
    assert "hunter2" not in said.out + said.err


def test_wrong_settings_are_named_all_at_once(tmp_path: Path) -> None:
    """Before anything is read or sent."""
    cli = command_line(tmp_path, VERTEXQ_LEASE_S="soon", VERTEXQ_BATCH_ROWS="0")

    said = cli.run("submit", "gs://b/o", "-m", MODEL, "-s", "results")

    assert said.code == 2
    assert said.err.startswith("error: ")
    assert "VERTEXQ_LEASE_S" in said.err
    assert "VERTEXQ_BATCH_ROWS" in said.err
