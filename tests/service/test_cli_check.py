"""``vertexq check``: what is said of good and bad files."""

from __future__ import annotations

import gzip
from pathlib import Path

import orjson
import pytest

from tests.service.command_line import MODEL, CommandLine, command_line, lines

REQUEST = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
GOOD = {"key": "a", "prompt": "Hello"}


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    """Return a command line."""
    return command_line(tmp_path)


def test_good_files_are_counted(cli: CommandLine, tmp_path: Path) -> None:
    """One line a file, exit code 0, and nothing is made or sent."""
    path = lines(tmp_path / "rows.jsonl", GOOD, b"", {"prompt": "b"})

    said = cli.run("check", path, path, "--model", MODEL)

    assert (said.code, said.err) == (0, "")
    reckoned = "about 0.002560 USD: 3 input and 2,048 output tokens (2 rows without maxOutputTokens: assumed)"
    assert said.out == f"{path}: 2 rows, all good\n  cost: {reckoned}\n" * 2
    assert [one.name for one in tmp_path.iterdir()] == ["rows.jsonl"]


def test_bad_rows_are_named_by_their_line(cli: CommandLine, tmp_path: Path) -> None:
    """Unreadable, of another form, repeated: exit code 1, and the prompts stay out of it."""
    path = lines(tmp_path / "rows.jsonl", GOOD, b"{SECRET", {"key": "b", "SECRET": 1}, GOOD)

    said = cli.run("check", path, "-m", MODEL)

    assert said.code == 1
    assert "4 rows, 3 cannot be sent" in said.out
    assert all(f"  line {number}: " in said.out for number in (2, 3, 4))
    assert "SECRET" not in said.out + said.err


@pytest.mark.parametrize(
    ("model", "option", "said"),
    [
        ("gemini-2.5-flash", "--family=text-embedding", "is not one of the family text-embedding"),
        ("gemini-embedding-2", "--parameter=task_type=CLUSTERING", "takes no notice of task_type"),
    ],
)
def test_what_would_be_refused_with_the_rows_is_refused_here(
    cli: CommandLine, tmp_path: Path, model: str, option: str, said: str
) -> None:
    """A model of another family, or parameters that it would leave unused."""
    asked = cli.run("check", lines(tmp_path / "rows.jsonl", GOOD), "-m", model, option)

    assert (asked.code, asked.out) == (2, "")
    assert said in asked.err


def test_many_faults_are_cut_short(cli: CommandLine, tmp_path: Path) -> None:
    """The first ten and how many more there are."""
    said = cli.run("check", lines(tmp_path / "rows.jsonl", *[b"x"] * 25), "-m", MODEL)

    assert (said.code, said.out.count("\n"), said.out.endswith("  and 15 more\n")) == (1, 12, True)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "it holds no rows"),
        (b"\n\r\n", "it holds no rows"),
        (b'[{"prompt":"a"}]', "this is a JSON array, not JSON Lines"),
    ],
)
def test_a_file_that_is_no_list_of_rows_is_explained(
    cli: CommandLine, tmp_path: Path, content: bytes, fault: str
) -> None:
    """Empty files and JSON arrays are the usual mistakes."""
    (tmp_path / "rows.jsonl").write_bytes(content)

    said = cli.run("check", tmp_path / "rows.jsonl", "-m", MODEL)

    assert (said.code, fault in said.out) == (1, True)


def test_a_line_over_the_limit_is_named(tmp_path: Path) -> None:
    """The limit is a setting."""
    cli = command_line(tmp_path, VERTEXQ_LINE_LIMIT_BYTES="1024")

    said = cli.run("check", lines(tmp_path / "rows.jsonl", GOOD, {"prompt": "x" * 2_000}), "-m", MODEL)

    assert (said.code, "line 2: the line has 2,013 bytes, more than the limit" in said.out) == (1, True)


def test_scripts_get_one_json_array(cli: CommandLine, tmp_path: Path) -> None:
    """An object a file, with all counts and the first faults."""
    good, bad = lines(tmp_path / "good.jsonl", GOOD), lines(tmp_path / "bad.jsonl", GOOD, b"x")

    said = cli.run("check", good, bad, "-m", MODEL, "--json")

    assert said.code == 1
    first, second = said.json()
    tokens = {"rows": 1, "input_tokens": 2, "output_tokens": 1_024, "assumed_rows": 1, "cost_usd": 0.0012803}
    assert first == {
        "file": str(good),
        "can_be_sent": True,
        "rows": 1,
        "faulty": 0,
        "rules": {},
        "faults": [],
        "repairs": {},
        "groups": [1],
        "aside": 0,
        "estimate": tokens,
    }
    assert (second["rows"], second["faulty"], second["rules"]) == (2, 1, {"not_json": 1})
    (fault,) = second["faults"]
    assert (fault["line"], fault["rule"], fault["path"]) == (2, "not_json", "")
    assert fault["text"].startswith("not valid JSON: ")
    assert fault["mend"] == "write one JSON object a line"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            "missing.jsonl",
            "missing.jsonl cannot be read: No such file or directory; nothing was sent. Check the name",
        ),
        (".", "cannot be read: Is a directory; nothing was sent. Name one JSON Lines file in it."),
        ("", "an empty name is no file"),
        ("gs://bucket/rows.jsonl", "is checked when it is staged"),
    ],
)
def test_a_file_that_cannot_be_read_does_not_hide_the_others(
    cli: CommandLine, tmp_path: Path, file: str, message: str
) -> None:
    """It is an entry like the others and an error on standard error; the exit code is 2 at the end."""
    good = lines(tmp_path / "good.jsonl", GOOD)

    said, plain = (
        cli.run("check", file, good, "-m", MODEL, "--json"),
        cli.run("check", file, good, "-m", MODEL),
    )

    first, second = said.json()
    assert (said.code, first["file"], first["rows"], second["rows"]) == (2, file, 0, 1)
    assert message in first["error"]
    assert (plain.code, plain.out.splitlines()[0], plain.err) == (2, f"{good}: 1 row, all good", said.err)
    assert said.err == f"error: {first['error']}\n"


def test_a_model_of_no_family_is_one_clear_error(cli: CommandLine) -> None:
    """On standard error for people, as an object on standard output for scripts, with exit code 2."""
    said = cli.run("check", "rows.jsonl", "-m", "gpt-4o", "--json")

    assert (said.code, said.json()["kind"]) == (2, "UnknownModel")
    assert "the model 'gpt-4o' belongs to no family" in said.json()["error"]
    assert said.err.startswith("error: ")


TEXT = '{"prompt": "one"}\n{"prompt": "Grüße"}\n' * 12


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (TEXT.encode("utf-16"), 1),
        (TEXT.encode("utf-16-le"), 1),
        (TEXT.encode("latin-1"), 2),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 99, 1),
    ],
)
def test_a_file_in_another_encoding_is_one_sentence(
    cli: CommandLine, tmp_path: Path, content: bytes, line: int
) -> None:
    """Not a fault a line: the whole file must be converted."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)

    checked, submitted = (
        cli.run("check", path, "-m", MODEL),
        cli.run("submit", path, "-m", MODEL, "-s", "results"),
    )

    assert (checked.code, checked.out) == (2, "")
    assert f"{path} is not a UTF-8 text file (line {line} is the first that is not); convert" in checked.err
    assert (submitted.code, submitted.err) == (2, checked.err)


def test_a_long_line_that_is_cut_in_a_character_is_still_text(tmp_path: Path) -> None:
    """Only the head of a line over the limit is looked at."""
    cli = command_line(tmp_path, VERTEXQ_LINE_LIMIT_BYTES="1024")
    path = lines(tmp_path / "rows.jsonl", GOOD, {"prompt": "ü" * 2_000}, {"prompt": "x" + "ü" * 2_000})

    said = cli.run("check", path, "-m", MODEL)

    assert (said.code, said.out.count("more than the limit")) == (1, 2)


def test_a_name_cannot_write_to_the_terminal(cli: CommandLine, tmp_path: Path) -> None:
    """Escape sequences in a file's name are shown, not obeyed."""
    path = lines(tmp_path / "rows\x1b[2J.jsonl", GOOD)

    said = cli.run("check", path, "-m", MODEL)
    missing = cli.run("check", "no\x1b[2J.jsonl", "-m", MODEL)
    odd = cli.run("check", "odd\udcff.jsonl", "-m", MODEL, "--json")

    assert "\x1b" not in said.out + missing.err
    assert r"rows\x1b[2J.jsonl" in said.out
    assert odd.json()[0]["file"] == r"odd\udcff.jsonl"


CONFLICT = [{"request": {**REQUEST, "labels": {"a": value}}} for value in ("x", 1, "y")]


def test_a_conflict_between_rows_names_both_kinds_and_what_to_do(cli: CommandLine, tmp_path: Path) -> None:
    """The rows outside the largest group cannot be sent; with the option every row can."""
    path = lines(tmp_path / "rows.jsonl", *CONFLICT)

    said, split = (
        cli.run("check", path, "-m", MODEL),
        cli.run("check", path, "-m", MODEL, "--split-conflicts"),
    )

    assert (said.code, split.code) == (1, 0)
    assert "line 2: request.labels.a: a number here, text in other rows (such as line 1)" in said.out
    assert "pass --split-conflicts" in said.out
    assert "3 rows, all good" in split.out
    assert "rows of one shape: 2, 1; every shape needs batches of its own" in split.out


def test_bad_rows_can_be_set_aside(cli: CommandLine, tmp_path: Path) -> None:
    """The rest can be sent: exit code 0; when nothing is left, it is 1."""
    path, bad = lines(tmp_path / "rows.jsonl", GOOD, b"x"), lines(tmp_path / "bad.jsonl", b"x")

    said, nothing = (cli.run("check", one, "-m", MODEL, "--set-aside") for one in (path, bad))

    assert (said.code, nothing.code) == (0, 1)
    assert "2 rows, 1 would be set aside, the rest can be sent" in said.out
    assert "line 2: not valid JSON" in said.out


def test_what_can_be_mended_is_mended_and_can_be_kept(cli: CommandLine, tmp_path: Path) -> None:
    """The written rows are what would be sent, and are good without the option."""
    path = lines(tmp_path / "rows.jsonl", {"key": "a", "request": {**REQUEST, "toolConfig": {}}})
    kept = tmp_path / "mended.jsonl"

    before = cli.run("check", path, "-m", MODEL)
    said = cli.run("check", path, "-m", MODEL, "--repair", "--output", kept)
    after = cli.run("check", kept, "-m", MODEL)

    assert (before.code, said.code, after.code) == (1, 0, 0)
    assert "mended: dropped_empty_object 1" in said.out
    assert orjson.loads(kept.read_bytes()) == {"key": "a", "request": REQUEST}


def test_records_are_checked_through_their_template(cli: CommandLine, tmp_path: Path) -> None:
    """And packed files as they are."""
    template = lines(tmp_path / "template.json", {"prompt": "Translate: {{text}}"})
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(b"key,text\na,Hello\nb,World\n"))

    said = cli.run("check", tmp_path / "rows.csv.gz", "-m", MODEL, "--template", template)

    assert (said.code, "2 rows, all good" in said.out) == (0, True)


def test_rows_that_only_the_whole_file_condemns_are_not_written(cli: CommandLine, tmp_path: Path) -> None:
    """What ``--output`` leaves is what ``submit`` takes: no key twice, one type a path."""
    odd = {"key": "c", "request": REQUEST | {"labels": {"a": 1}}}
    even = [{"key": key, "request": REQUEST | {"labels": {"a": "x"}}} for key in ("a", "b", "a")]
    kept = tmp_path / "kept.jsonl"

    cli.run("check", lines(tmp_path / "rows.jsonl", odd, *even), "-m", MODEL, "--output", kept)

    assert [orjson.loads(line)["key"] for line in kept.read_bytes().splitlines()] == ["a", "b"]
    assert cli.run("check", kept, "-m", MODEL).code == 0
