"""What is logged, and what is not."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import orjson
import pytest
import structlog

from config import logs


@pytest.fixture(autouse=True)
def json_logs() -> Iterator[None]:
    """Log as a worker does, to what pytest captures, and put things back."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize(
    ("text", "kept", "hidden"),
    [
        ("redis://:hunter2@redis:6379/0 is away", "redis:6379/0 is away", "hunter2"),
        ("postgresql://me:hun:ter2@db/x", "db/x", "ter2"),
        ("Authorization: Bearer abc.def-ghi", "Authorization", "abc.def"),
        ("got ya29.a0AfH6SMBx-y for it", "for it", "a0AfH6"),
        ("jwt eyJhbGciOi.eyJzdWIiOi.SflKxw end", "end", "SflKxw"),
        ("?password=hunter2&x=1", "x=1", "hunter2"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- after", "after", "MIIE"),
    ],
)
def test_secrets_are_hidden(text: str, kept: str, hidden: str) -> None:
    """Passwords in URLs, tokens and keys are replaced; what is around them stays."""
    cleaned = logs.without_secrets(text)

    assert kept in cleaned
    assert hidden not in cleaned


def test_a_line_is_one_json_object_with_the_ids_of_its_task(capfd: pytest.CaptureFixture[str]) -> None:
    """Lines of structlog and of the standard library have the same form and the same context."""
    logs.configure()
    structlog.contextvars.bind_contextvars(task_id="t1", ids=["s-1"])

    structlog.get_logger("ours").info("staged", rows=3, prompt="do not show", api_token="x")
    logging.getLogger("theirs").warning("away: %s", "redis://:hunter2@host")

    ours, theirs = (orjson.loads(line) for line in capfd.readouterr().err.splitlines())
    assert (ours["event"], ours["rows"], ours["ids"], ours["logger"]) == ("staged", 3, ["s-1"], "ours")
    assert ours["prompt"] == ours["api_token"] == logs.HIDDEN
    assert theirs["event"] == f"away: redis://:{logs.HIDDEN}@host"
    assert theirs["task_id"] == "t1"


def test_a_plain_line_is_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    """With the plain form there is no JSON, and a text without end is cut."""
    logs.configure(level="warning", log_format="plain")

    structlog.get_logger("ours").info("not this")
    structlog.get_logger("ours").warning("this", note="x" * 5000)

    said = capfd.readouterr().err
    assert "not this" not in said
    assert "(5000 characters)" in said
    assert not said.startswith("{")
