"""``vertexq doctor``: what is wrong, what to do, and the exit code that scripts go by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.service.command_line import CommandLine, Said, command_line
from vertexq.ledger import Ledger
from vertexq.simulator.server import Simulator
from vertexq.testing import valkey_server
from vertexq.testing.simulator import running_simulator


@pytest.fixture(scope="module")
def google_url() -> Iterator[str]:
    """Run a simulated Google with one bucket."""
    with running_simulator(buckets=["vertexq"]) as simulator:
        yield simulator.url


@pytest.fixture
def whole(tmp_path: Path, valkey_url: str, google_url: str) -> dict[str, str]:
    """Return the variables of a machine where nothing is missing; its ledger was just swept."""
    with closing(Ledger.open(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        ledger.beat("sweep")
    return {
        "VERTEXQ_BROKER_URL": valkey_url,
        "VERTEXQ_STAGING": "gs://vertexq/staging",
        "VERTEXQ_VERTEX_ENDPOINT": google_url,
        "STORAGE_EMULATOR_HOST": google_url,
        "GOOGLE_CLOUD_PROJECT": "project",
        "GOOGLE_CLOUD_LOCATION": "us-central1",
    }


def levels(said: Said) -> dict[str, str]:
    """Return the level of each check."""
    return {finding["check"]: finding["level"] for finding in said.json()}


def text(said: Said, check: str) -> str:
    """Return what a check says."""
    (found,) = [finding["text"] for finding in said.json() if finding["check"] == check]
    return str(found)


def diagnose(home: Path, variables: dict[str, str], **changes: str) -> Said:
    """Run the doctor with some variables changed."""
    return command_line(home, **{**variables, **changes}).run("doctor", "--json")


def test_a_machine_where_nothing_is_missing_is_well(tmp_path: Path, whole: dict[str, str]) -> None:
    """Every check is OK, a line each; whose service agent it is shows with the first job."""
    said = command_line(tmp_path, **whole).run("doctor")

    assert said.code == 0
    checks = [line.split()[:2] for line in said.out.splitlines()]
    wanted = ("settings", "broker", "ledger", "sweep", "staging", "region", "agent", "vertex", "store")
    assert checks == [["NOTE" if check == "agent" else "OK", check] for check in wanted]
    assert said.out.endswith(f"ready: sqlite at {tmp_path}/results.db\n")


def test_a_settle_time_that_may_cost_money_is_a_warning(tmp_path: Path, whole: dict[str, str]) -> None:
    """A create that times out may be accepted after it: the wait must be longer than the call."""
    said = diagnose(tmp_path, whole, VERTEXQ_SETTLE_TIME_S="60", VERTEXQ_REQUEST_DEADLINE_S="60")

    assert levels(said)["settings"] == "WARN"
    assert "paid for twice" in text(said, "settings")


def test_a_producers_machine_is_warned_of_what_a_worker_would_miss(tmp_path: Path, valkey_url: str) -> None:
    """Nothing is unreachable, so the exit code is 0; looking at the ledger does not make one."""
    said = command_line(tmp_path, VERTEXQ_BROKER_URL=valkey_url).run("doctor", "--json")

    assert said.code == 0
    assert levels(said) == {
        "settings": "WARN",
        "broker": "OK",
        "ledger": "WARN",
        "sweep": "WARN",
        "staging": "WARN",
        "vertex": "WARN",
        "store results": "OK",
    }
    assert not (tmp_path / "ledger.db").exists()


@pytest.mark.parametrize(
    ("changes", "check", "says"),
    [
        ({"VERTEXQ_BROKER_URL": "redis://:hunter2@127.0.0.1:9/0"}, "broker", "the broker does not answer"),
        ({"VERTEXQ_LEDGER_URL": "postgresql://u:hunter2@127.0.0.1:9/db"}, "ledger", "the ledger at "),
        ({"VERTEXQ_STAGING": "gs://elsewhere/x"}, "staging", "there is no bucket gs://elsewhere"),
        ({"VERTEXQ_STORE_MORE": "postgresql://u:hunter2@127.0.0.1:9/db"}, "store more", "127.0.0.1"),
    ],
)
def test_what_cannot_be_reached_fails_and_the_rest_is_still_looked_at(
    tmp_path: Path, whole: dict[str, str], changes: dict[str, str], check: str, says: str
) -> None:
    """Exit code 3; the message says what to do and holds no password."""
    said = diagnose(tmp_path, whole, **changes)

    assert (said.code, levels(said)[check], levels(said)["vertex"]) == (3, "FAIL", "OK")
    assert says in text(said, check)
    assert "hunter2" not in said.out + said.err


@pytest.fixture
def own_google() -> Iterator[Simulator]:
    """Run a simulated Google that the test may change."""
    with running_simulator(buckets=["vertexq"]) as simulator:
        yield simulator


def at(simulator: Simulator) -> dict[str, str]:
    """Return the variables that send the doctor there."""
    return {"VERTEXQ_VERTEX_ENDPOINT": simulator.url, "STORAGE_EMULATOR_HOST": simulator.url}


def test_rights_that_are_missing_fail_with_the_role_to_grant(
    tmp_path: Path, whole: dict[str, str], own_google: Simulator
) -> None:
    """A job would be paid for, and its answers not read."""
    own_google.access.deny("vertexq", "storage.objects.list")

    said = diagnose(tmp_path, whole, **at(own_google))

    assert (said.code, levels(said)["staging"]) == (3, "FAIL")
    assert "lack storage.objects.list" in text(said, "staging")
    assert "grant their account roles/storage.objectAdmin on the bucket vertexq" in text(said, "staging")


def test_a_bucket_elsewhere_and_an_agent_without_rights_are_warned_of(
    tmp_path: Path, whole: dict[str, str], own_google: Simulator
) -> None:
    """Both may be meant, so the exit code is 0."""
    own_google.access.set_policy("vertexq", {"bindings": []})
    place = {"GOOGLE_CLOUD_LOCATION": "europe-west4", "GOOGLE_CLOUD_PROJECT": "123456789012"}

    said = diagnose(tmp_path, whole, **at(own_google), **place)

    assert (said.code, levels(said)["region"], levels(said)["agent"]) == (0, "WARN", "WARN")
    assert "stage in a bucket of europe-west4" in text(said, "region")
    assert "grant that account roles/storage.objectAdmin" in text(said, "agent")


def test_a_model_is_looked_at_when_it_is_named(
    tmp_path: Path, whole: dict[str, str], own_google: Simulator
) -> None:
    """A retired one fails."""
    own_google.models.retire("gemini-1.5-flash")
    cli = command_line(tmp_path, **{**whole, **at(own_google)})

    good, gone = (cli.run("doctor", "--json", "--model", f"gemini-{one}-flash") for one in ("2.5", "1.5"))

    assert (good.code, levels(good)["model"]) == (0, "OK")
    assert (gone.code, levels(gone)["model"]) == (3, "FAIL")
    assert "take another model, or another location" in text(gone, "model")


@pytest.mark.parametrize("changes", [{}, {"VERTEXQ_STAGING": ""}, {"GOOGLE_CLOUD_PROJECT": ""}])
def test_whatever_is_not_well_says_what_to_do(
    tmp_path: Path, whole: dict[str, str], own_google: Simulator, changes: dict[str, str]
) -> None:
    """A line that only complains helps nobody."""
    own_google.models.retire("gemini-2.5-flash")
    own_google.access.deny("vertexq", "storage.objects.create")
    variables = {**whole, **at(own_google), "GOOGLE_CLOUD_LOCATION": "asia-east1", **changes}

    found = command_line(tmp_path, **variables).run("doctor", "--json", "--model", "gemini-2.5-flash").json()

    bad = [one for one in found if one["level"] in ("WARN", "FAIL")]
    assert bad
    assert [
        one for one in bad if not re.search(r"\b(set|grant|take|stage|start|create|name|run)\b", one["text"])
    ] == []


def test_a_google_that_is_not_there_fails(tmp_path: Path, whole: dict[str, str]) -> None:
    """Nobody listens at the endpoint."""
    said = diagnose(tmp_path, whole, VERTEXQ_VERTEX_ENDPOINT="http://127.0.0.1:9")

    assert (said.code, levels(said)["vertex"]) == (3, "FAIL")


def test_wrong_settings_end_with_2_and_are_named_all_at_once(tmp_path: Path, whole: dict[str, str]) -> None:
    """Without settings there is nothing else to look at."""
    said = diagnose(tmp_path, whole, VERTEXQ_LEASE_S="soon", VERTEXQ_STAGING="s3://bucket")

    assert (said.code, list(levels(said))) == (2, ["settings"])
    assert "VERTEXQ_LEASE_S" in text(said, "settings")


def test_a_store_of_an_unknown_kind_ends_with_2(tmp_path: Path, whole: dict[str, str]) -> None:
    """It is a setting that must be mended, not a server that must be started."""
    said = diagnose(tmp_path, whole, VERTEXQ_STORE_MORE="carrier-pigeon://coop")

    assert (said.code, levels(said)["store more"]) == (2, "FAIL")
    assert "known schemes are" in text(said, "store more")


def test_a_store_that_is_ready_is_named_without_its_password(
    tmp_path: Path, whole: dict[str, str], postgres_url: str
) -> None:
    """The kind and the place, in words."""
    said = diagnose(tmp_path, whole, VERTEXQ_STORE_MORE=f"{postgres_url}?application_name=hunter2")

    assert levels(said)["store more"] == "OK"
    assert text(said, "store more").startswith("ready: postgresql at ")
    secret = postgres_url.partition("@")[0].rpartition(":")[2]
    assert not any(word in text(said, "store more") for word in (secret, "hunter2", "<", "://"))


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("maxmemory-policy", "allkeys-lru", "maxmemory-policy is allkeys-lru"),
        ("appendonly", "no", "appendonly is off"),
    ],
)
def test_a_broker_that_may_forget_is_warned_of(
    tmp_path: Path, whole: dict[str, str], setting: str, value: str, says: str
) -> None:
    """It works, and in production it would lose hints."""
    with valkey_server() as server:
        with server.connect() as connected:
            client: Any = connected
            client.config_set(setting, value)
        said = diagnose(tmp_path, whole, VERTEXQ_BROKER_URL=server.url)

    assert (said.code, levels(said)["broker"]) == (0, "WARN")
    assert says in text(said, "broker")


def test_a_ledger_that_nobody_sweeps_is_warned_of(tmp_path: Path, whole: dict[str, str]) -> None:
    """It was never swept, so neither beat nor a worker runs."""
    url = f"sqlite:///{tmp_path}/unswept.db"
    Ledger.open(url).close()

    said = diagnose(tmp_path, whole, VERTEXQ_LEDGER_URL=url)

    assert (said.code, levels(said)["ledger"], levels(said)["sweep"]) == (0, "OK", "WARN")
    assert "no sweep has ever run" in text(said, "sweep")


def test_a_ledger_of_a_producer_without_one_is_not_looked_at(tmp_path: Path, whole: dict[str, str]) -> None:
    """``none`` is a choice."""
    said = diagnose(tmp_path, whole, VERTEXQ_LEDGER_URL="none")

    assert (said.code, levels(said)["ledger"], levels(said)["sweep"]) == (0, "WARN", "WARN")


def test_a_database_without_tables_is_left_without_tables(
    tmp_path: Path, whole: dict[str, str], postgres_url: str
) -> None:
    """Looking never migrates: a warning says who will."""
    said = diagnose(tmp_path, whole, VERTEXQ_LEDGER_URL=postgres_url)
    again = diagnose(tmp_path, whole, VERTEXQ_LEDGER_URL=postgres_url)

    assert (levels(said)["ledger"], levels(again)["ledger"]) == ("WARN", "WARN")
    assert "no tables" in text(again, "ledger")


def test_credentials_that_are_missing_are_named(tmp_path: Path, whole: dict[str, str]) -> None:
    """Without a simulator, Google must be told who asks."""
    changes = {
        "VERTEXQ_VERTEX_ENDPOINT": "",
        "STORAGE_EMULATOR_HOST": "",
        "GOOGLE_APPLICATION_CREDENTIALS": f"{tmp_path}/missing.json",
    }

    said = diagnose(tmp_path, whole, **changes)

    assert (said.code, levels(said)["staging"], levels(said)["vertex"]) == (3, "FAIL", "FAIL")
    assert "no Google credentials" in text(said, "vertex")


def test_people_and_scripts_are_told_the_same(whole: dict[str, str], tmp_path: Path) -> None:
    """The lines hold what the objects hold."""
    cli: CommandLine = command_line(tmp_path, **whole)
    plain, said = cli.run("doctor"), cli.run("doctor", "--json")

    assert [finding["check"] for finding in said.json()] == [
        line[6:].partition("  ")[0] for line in plain.out.splitlines()
    ]
