"""``vertexq watch --events`` and ``vertexq deliveries``, and ``submit --on-complete``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.contract.delivering import TARGET, put
from tests.service.command_line import MODEL, CommandLine, command_line, finish, lines
from vertexq.ledger import Ledger


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with a submission that ran, ``s-1``, and two messages about it."""
    home = tmp_path_factory.mktemp("home")
    finish(home, ["one", "two", "three"], submission_id="s-1")
    with closing(Ledger.open(f"sqlite:///{home}/ledger.db")) as ledger:
        put(ledger, "m-1", "m-2")
        first, _ = ledger.take_deliveries(TARGET, owner="w", lease_s=60, limit=2)
        ledger.abandon_delivery(first, reason="HTTP 500; given up")
    return home


@pytest.fixture
def ran(home: Path) -> CommandLine:
    """Return a command line over it."""
    return command_line(home)


def test_events_are_told_one_a_line_and_from_any_of_them_on(ran: CommandLine) -> None:
    """The last one is the end; behind a cursor comes the rest."""
    events = ran.run("watch", "s-1", "--events", "--json").json_lines()
    rest = ran.run("watch", "s-1", "--events", "--json", "--after", events[3]["cursor"]).json_lines()

    assert (events[0]["state"], events[-1]["state"]) == ("queued", "done")
    assert events[-1]["rows"]["succeeded"] == 3
    assert [event["cursor"] for event in rest] == [event["cursor"] for event in events[4:]]


def test_events_for_people_say_when_what_and_where_it_stands(ran: CommandLine) -> None:
    """A line each; the exit code says what became of the rows."""
    said = ran.run("watch", "s-1", "--events")

    assert said.code == 0
    assert said.out.splitlines()[0].endswith("  submission  s-1  queued")
    assert "  rows        3 landed, 3 succeeded" in said.out


@pytest.mark.parametrize(
    "args", [("--after", "1::0,0,0,0,0"), ("--events", "--timeout", "1"), ("--events", "--after", "x")]
)
def test_options_that_do_not_go_together_are_refused(ran: CommandLine, args: tuple[str, ...]) -> None:
    """Exit code 2, and a sentence that says what to do."""
    said = ran.run("watch", "s-1", *args)

    assert (said.code, said.err.startswith("error: ")) == (2, True)


def test_deliveries_are_counted_by_target(ran: CommandLine) -> None:
    """What waits, what was given up, and why; nothing about a submission that nobody is told of."""
    (told,) = ran.run("deliveries", "s-1", "--json").json()
    text = ran.run("deliveries", "s-1").out

    assert told == {
        "target": TARGET, "waiting": 1, "delivered": 0, "abandoned": 1, "reason": "HTTP 500; given up",
    }  # fmt: skip
    assert text.splitlines()[1] == f"{TARGET}\t1\t0\t1\tHTTP 500; given up"


def test_deliveries_can_be_made_due_again(ran: CommandLine) -> None:
    """Both, the one that was given up as well."""
    (told,) = ran.run("deliveries", "s-1", "--again", "--json").json()

    assert (told["waiting"], told["abandoned"]) == (2, 0)


def test_an_unknown_submission_has_no_deliveries(ran: CommandLine) -> None:
    """Exit code 2."""
    assert ran.run("deliveries", "nobody").code == 2


def test_whom_to_tell_is_kept_with_the_submission(tmp_path: Path) -> None:
    """And what cannot be told is refused before anything is enqueued."""
    cli = command_line(tmp_path)
    rows = lines(tmp_path / "rows.jsonl", {"prompt": "one"})
    options = ("-m", MODEL, "-s", "results", "--id", "w-1", "--on-complete")

    wrong = cli.run("submit", rows, *options, "webhook:results")
    right = cli.run("submit", rows, *options, "app.done@reports")

    assert (wrong.code, right.code) == (2, 0)
    with closing(Ledger.open(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        assert ledger.submission("w-1").on_complete == "app.done@reports"
