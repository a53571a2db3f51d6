"""Webhook stores in the environment: what workers need, what producers need not, and what is never shown."""

from __future__ import annotations

import pytest

from tests.receiving import SECRET
from vertexq.errors import BadSettings
from vertexq.settings import Settings

HOOK = "webhook+https://hooks.example.com/path?secret_env=HOOK_SECRET"
WORKER = {"GOOGLE_CLOUD_PROJECT": "p", "VERTEXQ_STAGING": "gs://b/p", "VERTEXQ_STORE_HOOK": HOOK}


def test_a_worker_reads_the_secret_that_a_stores_url_names() -> None:
    """It is in no repr, and other variables are not kept."""
    settings = Settings.for_worker({**WORKER, "HOOK_SECRET": SECRET, "OTHER_SECRET": "x"})

    assert dict(settings.secrets) == {"HOOK_SECRET": SECRET}
    assert settings.webhooks()["hook"].host == "hooks.example.com"
    assert SECRET not in repr(settings) + repr(settings.webhooks())


def test_a_worker_without_the_secret_does_not_start() -> None:
    """The fault names both variables, and shows no URL."""
    with pytest.raises(BadSettings, match="VERTEXQ_STORE_HOOK: HOOK_SECRET is not set") as refused:
        Settings.for_worker(WORKER)

    assert "example.com" not in str(refused.value)


def test_a_producer_needs_no_secret() -> None:
    """It names the store and signs nothing."""
    assert Settings.for_producer({"VERTEXQ_STORE_HOOK": HOOK}).store_url("hook") == HOOK


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("webhook+http://h/p?secret_env=A", "allow_http=true"),
        ("webhook+https://h/p", "messages are signed"),
        ("webhook+https://h:port/p?secret_env=A", "is no URL"),
    ],
)
def test_a_webhook_that_cannot_be_is_a_fault_of_its_variable(url: str, says: str) -> None:
    """For producers too: nothing could land there."""
    with pytest.raises(BadSettings, match=says) as refused:
        Settings.from_env({"VERTEXQ_STORE_HOOK": url})

    assert str(refused.value).startswith("VERTEXQ_STORE_HOOK")


def test_the_producers_broker_is_ours_unless_another_is_named() -> None:
    """It is checked like ours."""
    url = "redis://:pw@broker.example/1"
    own = Settings.from_env({"VERTEXQ_BROKER_URL": url})
    other = Settings.from_env(
        {"VERTEXQ_BROKER_URL": url, "VERTEXQ_PRODUCER_BROKER_URL": "redis://127.0.0.1/3"}
    )

    assert own.producer_broker_url == url
    assert other.producer_broker_url == "redis://127.0.0.1/3"
    with pytest.raises(BadSettings, match="VERTEXQ_PRODUCER_BROKER_URL"):
        Settings.from_env({"VERTEXQ_PRODUCER_BROKER_URL": "amqp://host"})
