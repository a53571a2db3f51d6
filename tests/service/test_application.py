"""The application's parts agree with one another: tasks, queues, settings, containers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from config import celeryconfig
from vertexq.broker import producer_app
from vertexq.model import GcsUri
from vertexq.names import QUEUE_OF, QueueName, TaskName
from vertexq.settings import STORE_PREFIX, VARIABLES, Settings
from vertexq.steps.services import Options
from worker.celery import make_app
from worker.services import options
from worker.stack import ROOT

COMPOSE_ONLY = {
    "FLOWER_PASSWORD", "FLOWER_PORT", "FLOWER_USER", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "SIMULATOR_PORT",
    "WORKER_PROCESSES",
}  # fmt: skip
OTHERS_READ = {"GOOGLE_APPLICATION_CREDENTIALS"}  # google-auth


def compose() -> dict[str, Any]:
    """Return docker-compose.yml."""
    return cast("dict[str, Any]", yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


def example_variables() -> set[str]:
    """Return every variable that config/example.env sets or shows."""
    return set(re.findall(r"^#?([A-Z_]+)=", (ROOT / "config" / "example.env").read_text(), re.MULTILINE))


def commands() -> dict[str, str]:
    """Return the commands of the services that are ours."""
    services = compose()["services"].items()
    return {name: service["command"] for name, service in services if "python" in service.get("command", "")}


def test_every_task_is_registered_and_no_other() -> None:
    """The list of task modules is text that no checker sees; after loading it the names are TaskName's."""
    app = make_app(Settings.from_env({}))
    app.loader.import_default_modules()

    ours = {name for name in app.tasks if not name.startswith("celery.")}
    assert ours == {task.value for task in TaskName}


def test_every_queue_has_a_worker_in_compose() -> None:
    """No hint waits where nobody looks."""
    served = {
        queue
        for command in commands().values()
        for queue in re.findall(r"--queues (\S+)", command)[0:1]
        for queue in queue.split(",")
    }

    assert served == {queue.value for queue in QueueName}


def test_every_variable_is_in_the_example_and_the_reverse() -> None:
    """config/example.env, the settings and docker-compose.yml name the same variables."""
    named = example_variables()
    stores = {name for name in named if name.startswith(STORE_PREFIX)}

    assert stores
    assert named - stores == VARIABLES | COMPOSE_ONLY | OTHERS_READ


def test_compose_asks_only_for_variables_of_the_example() -> None:
    """A variable in docker-compose.yml that nobody is told about would always be empty."""
    asked = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))

    assert asked - {"GOOGLE_APPLICATION_CREDENTIALS"} == COMPOSE_ONLY
    assert asked <= example_variables()


def test_the_example_shows_the_defaults() -> None:
    """What is commented out with a value is what holds without it."""
    shown = re.findall(r"^#(VERTEXQ_[A-Z_]+|GOOGLE_CLOUD_LOCATION)=(.+)$", example_text(), re.MULTILINE)

    assert Settings.from_env(dict(shown)) == Settings.from_env({"VERTEXQ_ALLOW_OPEN_BROKER": "no"})
    assert len(shown) > 15


def test_containers_are_locked_down() -> None:
    """Not root, read-only, no capabilities; ports on this machine only; nothing without a password."""
    services = compose()["services"]
    ours = [services[name] for name in commands()]
    ports = [port for service in services.values() for port in service.get("ports", [])]

    assert "\nUSER vertexq\n" in (ROOT / "Dockerfile").read_text()
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in ours)
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert "requirepass" in services["redis"]["command"][2]
    assert "maxmemory-policy noeviction" in services["redis"]["command"][2]
    assert "FLOWER_PASSWORD:?" in services["flower"]["environment"]["FLOWER_BASIC_AUTH"]


def test_a_workers_stop_fits_into_the_containers_grace() -> None:
    """Steps must be interrupted before the engine kills them."""
    grace_s = int(compose()["x-vertexq"]["stop_grace_period"].removesuffix("s"))

    assert Settings.from_env({}).stop_after_s <= grace_s - 5


def test_producers_and_workers_agree_on_the_broker() -> None:
    """The same prefix, queues and time-outs, or hints would wait where no worker looks."""
    settings = Settings.from_env({})
    worker, producer = make_app(settings).conf, producer_app(settings.broker_url).conf

    for name, value in producer.broker_transport_options.items():
        assert worker.broker_transport_options[name] == value
    assert [queue.name for queue in worker.task_queues] == [queue.name for queue in producer.task_queues]
    assert worker.broker_url == producer.broker_url == settings.broker_url


@pytest.mark.parametrize("task", TaskName)
def test_every_task_is_routed_to_its_queue(task: TaskName) -> None:
    """Also beat, which sends by name."""
    assert celeryconfig.task_routes[task.value] == {"queue": QUEUE_OF[task].value}


def test_only_json_is_taken_and_nothing_is_commanded() -> None:
    """No pickle, no results, no remote control, early acknowledgement: the settings the design rests on."""
    conf = make_app(Settings.from_env({})).conf

    assert (conf.task_serializer, list(conf.accept_content)) == ("json", ["json"])
    assert conf.result_backend is None
    assert not conf.worker_enable_remote_control
    assert not conf.task_acks_late
    assert conf.task_default_exchange == ""


def test_beat_sends_one_tick_that_expires() -> None:
    """Ticks that nobody took do not pile up."""
    schedule = make_app(Settings.from_env({"VERTEXQ_SWEEP_INTERVAL_S": "7"})).conf.beat_schedule

    (tick,) = schedule.values()
    assert (tick["task"], tick["schedule"]) == (TaskName.SWEEP.value, 7.0)
    assert tick["options"]["expires"] == 14.0


def example_text() -> str:
    """Return config/example.env."""
    return Path(ROOT / "config" / "example.env").read_text()


def test_steps_and_settings_have_the_same_defaults() -> None:
    """What a step does when nobody says otherwise is what the settings document."""
    built = options(Settings.from_env({"GOOGLE_CLOUD_PROJECT": "p", "VERTEXQ_STAGING": "gs://b/p"}))

    assert built == Options(project="p", location="global", staging=GcsUri(bucket="b", name="p"))
