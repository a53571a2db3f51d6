"""``vertexq submit``: several sources, templates, policies and terms, and wishes that make no sense."""

from __future__ import annotations

import gzip
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from tests.service.command_line import MODEL, CommandLine, command_line, lines
from vertexq.ledger import Ledger
from vertexq.model import OnDeadline, Policy, Submission, Terms

URI = "gs://bucket/rows.jsonl"


@pytest.fixture
def cli(tmp_path: Path, valkey_url: str) -> CommandLine:
    """Return a command line with a broker."""
    return command_line(tmp_path, VERTEXQ_BROKER_URL=valkey_url)


def submitted(cli: CommandLine, *args: object) -> Submission:
    """Submit under one id and return what the ledger has."""
    said = cli.run("submit", *args, "-m", MODEL, "-s", "results", "--id", "one", "--json")
    assert said.code == 0, said.err
    with closing(Ledger.open(cli.environ["VERTEXQ_LEDGER_URL"])) as ledger:
        return ledger.submission("one")


def test_every_wish_is_in_the_ledger(cli: CommandLine) -> None:
    """Policy, terms and tenant, as they were asked for."""
    found = submitted(
        cli, URI, "--split-conflicts", "--repair", "--set-aside", "--budget", "2.50", "--deadline", "6h",
        "--on-deadline", "rerun", "--priority", "-3", "--tenant", "search",
    )  # fmt: skip

    assert found.policy == Policy(split_conflicts=True, repair=True, set_aside=True)
    assert found.terms == Terms(
        priority=-3, budget_pusd=2_500_000_000_000, deadline_s=21_600.0, on_deadline=OnDeadline.RERUN
    )
    assert (found.tenant, found.labels["tenant"]) == ("search", "search")


def test_rows_may_be_finished_online_and_that_may_change(cli: CommandLine) -> None:
    """It is one of the terms."""
    assert submitted(cli, URI, "--finish-online", "20").terms.finish_online == 20
    assert submitted(cli, URI, "--finish-online", "0").terms.finish_online == 0


def test_a_model_that_is_not_asked_online_is_refused(cli: CommandLine) -> None:
    """In a sentence, before anything is enqueued."""
    said = cli.run("submit", URI, "-m", "anthropic/claude-haiku-4-5", "-s", "results", "--finish-online", "5")

    assert said.code == 2
    assert "are not asked online" in said.err


def test_terms_change_when_it_is_enqueued_again(cli: CommandLine) -> None:
    """They are no part of what makes a submission the same."""
    submitted(cli, URI, "--budget", "1")

    assert submitted(cli, URI, "--budget", "2").terms.budget_pusd == 2 * 10**12


def test_several_files_are_one_submission(cli: CommandLine, tmp_path: Path) -> None:
    """Records of a CSV file and of packed lines fill one template; people see what it may cost."""
    (tmp_path / "ask.json").write_bytes(orjson.dumps({"prompt": "Say {{word}}"}))
    (tmp_path / "a.csv").write_text("key,word\na,one\n")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"key":"b","word":"two"}\n'))
    files = (tmp_path / "a.csv", tmp_path / "b.jsonl.gz")

    said = cli.run("submit", *files, "--template", tmp_path / "ask.json", "-m", MODEL, "-s", "results")
    found = submitted(cli, *files, "--template", tmp_path / "ask.json")

    assert (found.rows, found.template) == (2, '{"prompt":"Say {{word}}"}')
    assert "input and" in next(line for line in said.out.splitlines() if line.startswith("estimate"))


def test_several_objects_are_one_submission(cli: CommandLine) -> None:
    """Also by wildcards, which a worker resolves."""
    assert submitted(cli, URI, "gs://bucket/more/*.csv").sources == (URI, "gs://bucket/more/*.csv")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([URI, "rows.jsonl"], "one kind of source"),
        ([URI, "-"], "one kind of source"),
        (["bq://p.d.t", "rows.jsonl"], "one kind of source"),
        (["bq://p.d.t", URI], "one kind of source"),
        (["rows.jsonl", "--as-is"], "for gs:// objects only"),
        ([URI, "--as-is", "--repair"], "as_is leaves every line as it is"),
        ([URI + ".gz", "--as-is"], "cannot be used as it is"),
        ([URI, "--template", "nowhere.json"], "the template nowhere.json cannot be read"),
        ([URI, "--deadline", "soon"], "no span of time"),
        ([URI, "--deadline", "0h"], "must lie in the future"),
        ([URI, "--on-deadline", "rerun"], "needs a deadline"),
        ([URI, "--priority", "10"], "from -9 to 9"),
        ([URI, "--finish-online", "-1"], "from 0 (never) to 10,000"),
        ([URI, "--budget", "-1"], "positive number of US dollars"),
        ([URI, "--tenant", "A", "--label", "tenant=b"], "leave one out"),
        ([URI, "--tenant", "Not A Label"], "cannot have the value"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(cli: CommandLine, args: list[str], says: str) -> None:
    """In a sentence, before anything is enqueued."""
    if args[0] == "rows.jsonl":
        args = [str(lines(cli.home / "rows.jsonl", {"prompt": "x"})), *args[1:]]

    said = cli.run("submit", *args, "-m", MODEL, "-s", "results")

    assert said.code == 2
    assert says in said.err
