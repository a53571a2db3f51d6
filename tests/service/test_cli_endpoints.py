"""``vertexq endpoints``: orders go into the ledger, what cannot be is refused, Google is asked from here."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.prompt_objects import fetch
from tests.fundamentals.endpoint_house import brisk
from tests.fundamentals.house import built
from tests.service.command_line import CommandLine, command_line
from vertexq.embedded import Valkey
from vertexq.embedded.process import await_true
from vertexq.endpoints import OPERATION_RESTING
from vertexq.ledger import Ledger
from vertexq.names import QueueName
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.server import Simulator
from vertexq.simulator.timing import Timing
from vertexq.testing.simulator import running_simulator

PLACE = ("--project", "demo", "--location", "us-central1")
PARENT = "projects/demo/locations/us-central1"


@pytest.fixture
def vertexq(tmp_path: Path) -> CommandLine:
    """Give a command line whose ledger is empty."""
    return command_line(tmp_path)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Run a simulator with an AutoML model."""
    with running_simulator(timing=Timing.fast()) as running:
        running.models.add("flowers", kind="automl-image")
        yield running


@pytest.fixture
def asking(tmp_path: Path, simulator: Simulator, valkey_url: str) -> CommandLine:
    """Give a command line that asks the simulator, which has the endpoint ``shop``."""
    fetch(f"{simulator.url}/v1/{PARENT}/endpoints?endpointId=shop", b'{"displayName": "the shop"}')
    deploy = {"deployedModel": {"id": "1", "model": f"{PARENT}/models/flowers"}, "trafficSplit": {"0": 100}}
    assert await_true(
        lambda: "endpoints" in fetch(f"{simulator.url}/v1/{PARENT}/endpoints").decode(), timeout_s=10
    )
    fetch(f"{simulator.url}/v1/{PARENT}/endpoints/shop:deployModel", json.dumps(deploy).encode())
    assert await_true(
        lambda: "deployedModels" in fetch(f"{simulator.url}/v1/{PARENT}/endpoints").decode(), timeout_s=10
    )
    return command_line(
        tmp_path,
        VERTEXQ_VERTEX_ENDPOINT=simulator.url,
        VERTEXQ_BROKER_URL=valkey_url,
        GOOGLE_CLOUD_PROJECT="demo",
        GOOGLE_CLOUD_LOCATION="us-central1",
    )


def carried_out(home: Path) -> None:
    """Let a whole vertexq, with a simulated Google, carry out what was ordered."""

    async def run() -> None:
        async with built(home, Timing.fast()) as house:
            ledger = house.services.ledger
            await brisk(house).until(
                lambda: all(one.state in OPERATION_RESTING for one in ledger.operations())
            )

    asyncio.run(run())


def test_an_order_says_what_comes_next(vertexq: CommandLine) -> None:
    """It is in the ledger, and nothing else has happened."""
    said = vertexq.run("endpoints", "create", "shop", "--name", "the shop", *PLACE, "--id", "make-shop")
    listed = vertexq.run("endpoints", "operations", "--json").json()

    assert (said.code, said.out.splitlines()[0]) == (0, "make-shop  create shop  queued")
    assert "vertexq endpoints operations make-shop --wait" in said.out
    assert [(one["id"], one["state"], one["endpoint"]) for one in listed] == [
        ("make-shop", "queued", f"{PARENT}/endpoints/shop")
    ]


def test_wait_follows_an_order_to_its_end(vertexq: CommandLine) -> None:
    """Exit code 0 when it is done, 1 when it has failed, with what the reason is."""
    made = vertexq.run("endpoints", "create", "shop", *PLACE, "--json").json()["id"]
    gone = vertexq.run("endpoints", "undeploy", "nowhere", "17", *PLACE, "--json").json()["id"]
    carried_out(vertexq.home)

    done = vertexq.run("endpoints", "operations", made, "--wait")
    failed = vertexq.run("endpoints", "operations", gone, "--wait", "--json")

    assert (done.code, done.out) == (0, f"{made}  create shop  done\n")
    assert (failed.code, failed.json()["state"]) == (1, "failed")
    assert failed.json()["reason"] == "there is no endpoint nowhere in us-central1; create it first"


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (
            ("deploy", "shop", "17", "--traffic", "0=60", "--traffic", "1=30"),
            "sums to 90, and must sum to 100",
        ),
        (("deploy", "shop", "17", "--traffic", "0"), "write it as MODEL=PERCENT"),
        (("deploy", "shop", "17", "--min-replicas", "3", "--max-replicas", "2"), "replicas: at least 3"),
        (("deploy", "shop", "publishers/google/models/gemini-2.5-flash"), "needs no endpoint of yours"),
        (("create", "Shop"), "cannot be the id of a new endpoint"),
        (("create", "shop", "--location", "global"), "endpoints are in a region, not in 'global'"),
        (("undeploy", "shop", "x"), "is no id of a deployed model"),
        (("operations", "nobody"), "has no operation called 'nobody'"),
        (("operations", "--wait"), "name its id"),
        (("predict", "shop", "/does/not/exist.jpg"), "cannot be read"),
        (("predict", "shop", "/"), "the image / cannot be read: Is a directory"),
        (("predict", "shop", "/dev/zero"), "make it smaller"),
        (("create", "shop", "--id", ""), "'' cannot be an id"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    vertexq: CommandLine, args: tuple[str, ...], sentence: str
) -> None:
    """Exit code 2, and nothing was ordered; with ``--json`` the error is an object."""
    said, as_json = vertexq.run("endpoints", *args), vertexq.run("endpoints", *args, "--json")

    assert (said.code, said.err.startswith("error: "), sentence in said.err) == (2, True, True)
    assert sentence in as_json.json()["error"]
    assert vertexq.run("endpoints", "operations", "--json").json() == []


def test_without_a_ledger_operations_say_what_to_set(tmp_path: Path) -> None:
    """An order would go through the broker, which is not there either."""
    nowhere = command_line(tmp_path, VERTEXQ_LEDGER_URL="none")

    listed = nowhere.run("endpoints", "operations")
    ordered = nowhere.run("endpoints", "create", "shop")

    assert (listed.code, "set VERTEXQ_LEDGER_URL" in listed.err) == (2, True)
    assert (ordered.code, "check VERTEXQ_BROKER_URL" in ordered.err) == (3, True)


def test_without_a_ledger_nothing_is_ordered_that_is_to_be_followed(
    tmp_path: Path, valkey: Valkey, valkey_url: str
) -> None:
    """Else the order would be carried out although the command has failed."""
    blind = command_line(tmp_path, VERTEXQ_LEDGER_URL="none", VERTEXQ_BROKER_URL=valkey_url)

    refused = blind.run("endpoints", "create", "shop", *PLACE, "--wait")
    ordered = blind.run("endpoints", "create", "shop", *PLACE)

    assert (refused.code, "nothing was sent" in refused.err) == (2, True)
    assert (ordered.code, "operations" in ordered.out) == (0, False)
    with valkey.connect() as broker:
        assert broker.llen(f"vertexq:{QueueName.CONTROL}") == 1


def test_help_names_every_command(vertexq: CommandLine) -> None:
    """And a wrong option is a wrong usage."""
    said = vertexq.run("endpoints", "--help")

    for word in (
        "create",
        "list",
        "deploy",
        "undeploy",
        "delete",
        "operations",
        "predict",
        "generate",
        "embed",
    ):
        assert word in said.out
        assert vertexq.run("endpoints", word, "--help").code == 0
    assert vertexq.run("endpoints", "create", "shop", "--colour", "red").code == 2


def test_list_shows_what_is_deployed(asking: CommandLine) -> None:
    """With its share of the requests; a name chooses."""
    table = asking.run("endpoints", "list")
    [found] = asking.run("endpoints", "list", "--name", "the shop", "--json").json()

    assert table.out.splitlines()[1].split("\t") == ["shop", "the shop", "1", "flowers", "100 %"]
    assert (found["display_name"], found["traffic"]) == ("the shop", {"1": 100})
    assert asking.run("endpoints", "list", "--name", "another").out == "There are no such endpoints.\n"


def test_predict_labels_images(asking: CommandLine, tmp_path: Path, simulator: Simulator) -> None:
    """A table for people, an object an image for scripts; a large one stops all before any is sent."""
    flower, large = tmp_path / "flower.jpg", tmp_path / "large.jpg"
    flower.write_bytes(b"a flower")
    large.write_bytes(bytes(2_000_000))

    refused = asking.run("endpoints", "predict", "shop", flower, large)
    calls = len(simulator.online_calls)
    table = asking.run("endpoints", "predict", "shop", flower, "--max-predictions", 2)
    [said] = asking.run("endpoints", "predict", "shop", flower, "--max-predictions", 2, "--json").json_lines()

    assert (refused.code, calls, "large.jpg has 2,000,000 bytes" in refused.err) == (2, 0, True)
    assert [line.split("\t")[2] for line in table.out.splitlines()[1:]] == [
        one["label"] for one in said["labels"]
    ]
    assert (said["deployed_model_id"], len(said["labels"])) == ("1", 2)


def test_ctrl_c_leaves_an_order_running(vertexq: CommandLine) -> None:
    """The command says how to follow it, and ends with 130."""
    waiting = vertexq.start(
        "endpoints", "create", "shop", "--wait", "--id", "make-shop",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert waiting.stdout is not None
    first = waiting.stdout.readline()
    waiting.send_signal(signal.SIGINT)
    _, complaint = waiting.communicate(timeout=30)

    ledger = Ledger.open(vertexq.environ["VERTEXQ_LEDGER_URL"])
    state = ledger.operation("make-shop").state
    ledger.close()
    assert (first, waiting.returncode, state) == (b"make-shop  create shop  queued\n", 130, "queued")
    assert b"follow it with: vertexq endpoints operations make-shop --wait" in complaint


def test_labels_that_were_paid_for_are_shown_before_an_error(
    asking: CommandLine, tmp_path: Path, simulator: Simulator
) -> None:
    """The second image is refused; the first one has its labels."""
    flower, other = tmp_path / "flower.jpg", tmp_path / "other.jpg"
    flower.write_bytes(b"a flower")
    other.write_bytes(b"another one")
    simulator.faults.add(Fault(method="*.endpoints.predict", action=Action.REFUSE, status=403, skip=1))

    said = asking.run("endpoints", "predict", "shop", flower, other)

    assert (said.code, "403" in said.err) == (1, True)
    assert {line.split("\t")[0] for line in said.out.splitlines()[1:]} == {str(flower)}


def test_a_prompt_and_a_text_are_answered_at_once(asking: CommandLine) -> None:
    """The answer alone for people, the whole result for scripts; a model of another kind is a wrong usage."""
    answer = asking.run("endpoints", "generate", "gemini-2.5-flash", "Name a colour.")
    said = asking.run("endpoints", "generate", "gemini-2.5-flash", "Name a colour.", "--json").json()
    vector = asking.run(
        "endpoints", "embed", "gemini-embedding-001", "a text", "--parameter", "dimensions=256"
    )
    refused = asking.run("endpoints", "embed", "gemini-2.5-flash", "a text")

    assert (answer.code, answer.out.strip(), said["outcome"]) == (0, said["text"].strip(), "succeeded")
    assert (vector.code, "(256 numbers, norm" in vector.out) == (0, True)
    assert (refused.code, "does not answer" in refused.err) == (2, True)
