"""The environment is read once, and every fault in it is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from vertexq.errors import BadSettings, UnknownStore
from vertexq.settings import NUMBERS, Settings

PASSWORD = "hunter2"


def faults(**variables: str) -> str:
    """Return what is said about an environment."""
    with pytest.raises(BadSettings) as caught:
        Settings.from_env(variables)
    return str(caught.value)


def test_an_empty_environment_is_one_machine() -> None:
    """The embedded Valkey's socket, and a SQLite file beside it."""
    settings = Settings.from_env({"VERTEXQ_STAGING": "  "})

    assert (
        settings.broker_url
        == f"redis+socket://{Path('.vertexq/valkey/valkey.sock').resolve()}?virtual_host=0"
    )
    assert settings.ledger_url == "sqlite:///.vertexq/ledger.db"
    assert (settings.location, settings.staging, dict(settings.stores)) == ("global", "", {})


def test_every_fault_is_told_at_once_by_variable_name() -> None:
    """One line each, so that one look at the environment mends them all."""
    said = faults(
        VERTEXQ_BROKER_URL="amqp://broker",
        VERTEXQ_LEDGER_URL="mysql://db/x",
        VERTEXQ_STAGING="/staging",
        VERTEXQ_STORE_RESULTS="results.db",
        VERTEXQ_VERTEX_ENDPOINT="ftp://x",
        VERTEXQ_LOG_LEVEL="loud",
    )

    assert [line.partition(" ")[0] for line in said.splitlines()] == [
        "VERTEXQ_BROKER_URL",
        "VERTEXQ_LEDGER_URL",
        "VERTEXQ_STORE_RESULTS",
        "VERTEXQ_STAGING",
        "VERTEXQ_VERTEX_ENDPOINT",
        "VERTEXQ_LOG_LEVEL",
    ]


@pytest.mark.parametrize("text", ["soon", "nan", "-1", "1e99", ""])
@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_numbers_have_bounds(name: str, text: str) -> None:
    """What is no number, or out of bounds, names the variable and both bounds; nothing means the default."""
    variable = NUMBERS[name].variable
    if not text:
        assert Settings.from_env({variable: text}) == Settings.from_env({})
        return

    said = faults(**{variable: text})

    assert said.startswith(f"{variable} must be a")
    assert f"{NUMBERS[name].least:g}" in said
    assert "e+" not in said


def test_a_lease_must_outlive_a_heartbeat() -> None:
    """Values that are fine alone may not fit together."""
    assert "VERTEXQ_HEARTBEAT_S" in faults(VERTEXQ_LEASE_S="8")
    assert "VERTEXQ_POLL_LONGEST_S" in faults(VERTEXQ_POLL_LONGEST_S="1")
    assert Settings.from_env({"VERTEXQ_LEASE_S": "10"}).lease_s == 10


def test_a_misspelt_variable_is_told() -> None:
    """A setting that does nothing is a trap; one of another program is not ours to judge."""
    assert faults(VERTEXQ_POLL_INTERVALL_S="3") == (
        "VERTEXQ_POLL_INTERVALL_S is no variable of vertexq; VERTEXQ_POLL_INTERVAL_S is"
    )
    assert Settings.from_env({"VERTEXQ_SOMETHING_ELSE": "1", "POLL_INTERVAL_S": "3"})


@pytest.mark.parametrize("host", ["redis.example.com", "10.0.0.7"])
def test_an_open_broker_elsewhere_is_refused(host: str) -> None:
    """Whoever can write to it could queue work; a password, TLS, this machine or a clear word let it pass."""
    url = f"redis://{host}:6379/0"

    assert "without a password" in faults(VERTEXQ_BROKER_URL=url)
    assert "without a password" in faults(VERTEXQ_BROKER_URL=url, VERTEXQ_ALLOW_OPEN_BROKER="no")
    for fine in (
        {"VERTEXQ_BROKER_URL": f"redis://:{PASSWORD}@{host}:6379/0"},
        {"VERTEXQ_BROKER_URL": f"rediss://{host}:6379/0"},
        {"VERTEXQ_BROKER_URL": "redis://localhost:6379/0"},
        {"VERTEXQ_BROKER_URL": url, "VERTEXQ_ALLOW_OPEN_BROKER": "yes"},
    ):
        assert Settings.from_env(fine).broker_url == fine["VERTEXQ_BROKER_URL"]


def test_passwords_are_in_no_text() -> None:
    """Neither a representation nor a fault quotes a URL."""
    settings = Settings.from_env(
        {
            "VERTEXQ_BROKER_URL": f"redis://:{PASSWORD}@host/0",
            "VERTEXQ_LEDGER_URL": f"postgresql://me:{PASSWORD}@host/db",
            "VERTEXQ_STORE_RESULTS": f"postgresql://me:{PASSWORD}@host/db",
        }
    )

    assert PASSWORD not in repr(settings)
    assert PASSWORD not in faults(
        VERTEXQ_BROKER_URL=f"amqp://:{PASSWORD}@host/0",
        VERTEXQ_LEDGER_URL=f"postgresql://me:{PASSWORD}@host:port/db",
        VERTEXQ_STORE_RESULTS=f"me:{PASSWORD}@host",
    )


@pytest.mark.parametrize("tail", ["CANARY@P/W@", "CANARY/W@", "CANARY@W@", "1?CANARY@", "1#CANARY@"])
@pytest.mark.parametrize("variable", ["VERTEXQ_LEDGER_URL", "VERTEXQ_BROKER_URL", "VERTEXQ_STORE_RESULTS"])
def test_a_password_that_is_not_percent_encoded_is_refused(variable: str, tail: str) -> None:
    """Its tail would be taken for a host or a database, and shown in errors."""
    scheme = "redis" if variable == "VERTEXQ_BROKER_URL" else "postgresql"
    said = faults(**{variable: f"{scheme}://u:{tail}127.0.0.1:1/d"})

    assert said.startswith(f"{variable} has an @ outside of its place; percent-encode")
    assert len(said.splitlines()) == 1
    assert not any(part in said for part in ("CANARY", "W@", "127.0.0.1"))


def test_a_path_may_hold_an_at_sign() -> None:
    """There is no password where there is no host."""
    url = "sqlite:////srv/a@b/c@d.db"

    assert Settings.from_env({"VERTEXQ_LEDGER_URL": url}).ledger_url == url
    assert Settings.from_env({"VERTEXQ_LEDGER_URL": "postgresql://u:p%40%2F@host/db"})


def test_a_wrong_number_hides_no_other_fault() -> None:
    """Numbers are read first, and everything else is checked with their defaults."""
    said = faults(
        VERTEXQ_POLL_INTERVAL_S="soon",
        VERTEXQ_LEASE_S="0",
        VERTEXQ_HEARTBEAT_S="15",
        VERTEXQ_BATCH_ROWS="many",
        VERTEXQ_BROKER_URL="amqp://broker",
        VERTEXQ_STAGING="s3://x",
        VERTEXQ_VERTEX_ENDPOINT="foo",
        VERTEXQ_LOG_LEVEL="loud",
        VERTEXQ_ALLOW_OPEN_BROKER="maybe",
    )

    assert [line.partition(" ")[0].removeprefix("VERTEXQ_") for line in said.splitlines()] == [
        *("POLL_INTERVAL_S", "LEASE_S", "BATCH_ROWS", "BROKER_URL", "STAGING"),
        *("VERTEX_ENDPOINT", "LOG_LEVEL", "ALLOW_OPEN_BROKER"),
    ]


def test_an_argument_wins_over_its_variable() -> None:
    """A client can be told where things are; a store's name is lower-case."""
    environ = {"VERTEXQ_LEDGER_URL": "sqlite:///a.db", "VERTEXQ_STORE_OTHER": "sqlite:///o.db"}
    settings = Settings.for_producer(
        environ, ledger_url="none", broker_url="redis://localhost", stores={"results": "sqlite:///r.db"}
    )

    assert (settings.ledger_url, settings.broker_url) == ("none", "redis://localhost")
    assert dict(settings.stores) == {"other": "sqlite:///o.db", "results": "sqlite:///r.db"}


def test_an_unknown_store_is_told_with_those_that_are_known() -> None:
    """A producer without any store trusts the workers to know it."""
    settings = Settings.for_producer({}, stores={"results": "sqlite:///r.db"})

    with pytest.raises(UnknownStore, match=r"'reslts'.*known: results.*VERTEXQ_STORE_RESLTS"):
        settings.check_store("reslts")
    Settings.for_producer({}).check_store("anything")


@pytest.mark.parametrize("name", ["my-store", "a b", "Results", "x=y", ""])
def test_a_name_that_no_store_can_have_gets_no_impossible_advice(name: str) -> None:
    """A shell cannot set VERTEXQ_STORE_MY-STORE; what a name may hold is said instead."""
    settings = Settings.for_producer({}, stores={"results": "sqlite:///r.db"})

    with pytest.raises(UnknownStore, match="letters, digits and underscores only") as refused:
        settings.store_url(name)
    assert "VERTEXQ_STORE_" not in str(refused.value)


def test_a_worker_needs_a_project_and_a_staging_place() -> None:
    """A producer needs neither."""
    with pytest.raises(
        BadSettings, match=r"GOOGLE_CLOUD_PROJECT is not set: .*\nVERTEXQ_STAGING is not set: "
    ):
        Settings.for_worker({})

    assert Settings.for_worker({"GOOGLE_CLOUD_PROJECT": "p", "VERTEXQ_STAGING": "gs://b/x"}).project == "p"
