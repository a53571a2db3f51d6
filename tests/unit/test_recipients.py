"""Whom a submission's end is told: the forms of ``on_complete``."""

from __future__ import annotations

import pytest

from vertexq.errors import BadInput
from vertexq.recipients import Recipient, Way, recipient_of


@pytest.mark.parametrize(
    ("said", "target"),
    [
        ("app.tasks.done", "task:app.tasks.done@celery"),
        ("done", "task:done@celery"),
        ("app.tasks.done@reports.low", "task:app.tasks.done@reports.low"),
        ("webhook:results", "webhook:results"),
    ],
)
def test_what_is_said_becomes_a_target_and_back(said: str, target: str) -> None:
    """The ledger keeps the target; the worker reads it."""
    recipient = recipient_of(said)

    assert recipient is not None
    assert recipient.target == target
    assert Recipient.of_target(target) == recipient


def test_nothing_said_is_nobody() -> None:
    """Most submissions name nobody."""
    assert recipient_of("") is None


def test_a_target_says_its_way() -> None:
    """A store or a task."""
    assert recipient_of("webhook:w") == Recipient(way=Way.WEBHOOK, name="w")


@pytest.mark.parametrize(
    "said",
    [
        *("vertexq.create", "vertexq.sweep@vertexq.control", "webhook:", "webhook:No", "webhook:a@b"),
        *("https://example.com", "app done", "app..done", ".done", "app.done@", "app.done@a b", "@queue"),
        *("webhook:" + "x" * 101, "a" * 201, "app.done@" + "q" * 201, "done\n"),
    ],
)
def test_what_cannot_be_told_is_refused(said: str) -> None:
    """Also our own tasks: a message must not begin work."""
    with pytest.raises(BadInput):
        recipient_of(said)
