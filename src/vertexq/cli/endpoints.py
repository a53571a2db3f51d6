"""``vertexq endpoints``: orders for them and how those stand; questions to what serves online."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import vertexq
from vertexq.cli.endpoint_progress import follow_operation, say_operation
from vertexq.cli.options import Parameters, parameters_of
from vertexq.cli.reporting import LIMIT_MOST, AsJson, ExitCode, complain, reported, say, say_json
from vertexq.cli.results import shown
from vertexq.cli.tables import Column, say_table
from vertexq.cli.waiting import has_ledger
from vertexq.plain import one_line

if TYPE_CHECKING:
    from vertexq.endpoints import Endpoint, Operation
    from vertexq.results import Result

endpoints = typer.Typer(
    no_args_is_help=True, help="Serve models online: endpoints, what is deployed on them, predictions."
)

EndpointId = Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's id, or its full name.")]
OnlineModel = Annotated[
    str, typer.Argument(metavar="MODEL", help="The model, as Google writes it, or an endpoint's full name.")
]
Project = Annotated[str, typer.Option("--project", help="Google Cloud project; the worker's by default.")]
Location = Annotated[str, typer.Option("--location", help="Region of the endpoint; the worker's by default.")]
OperationId = Annotated[
    str | None, typer.Option("--id", help="Yours for the order: the same again is the same order.")
]
Wait = Annotated[bool, typer.Option("--wait", "-w", help="Show how it gets on, until it is done.")]
Traffic = Annotated[
    list[str] | None,
    typer.Option(
        "--traffic",
        metavar="MODEL=PERCENT",
        help="The share of requests of a deployed model afterwards; 0 is the one being deployed. May be "
        "repeated; all together are 100.",
    ),
]


@endpoints.command()
def create(
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="The id of the new endpoint.")],
    *,
    name: Annotated[str, typer.Option("--name", help="Its display name; the id by default.")] = "",
    dedicated: Annotated[bool, typer.Option("--dedicated", help="It gets a host of its own.")] = False,
    project: Project = "",
    location: Location = "",
    operation_id: OperationId = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Order an endpoint; one of the same id and name that is there already will do."""
    with _ordering(wait=wait, as_json=as_json) as client:
        made = client.endpoints.create(
            endpoint, display_name=name, dedicated=dedicated, project=project, location=location,
            id=operation_id,
        )  # fmt: skip
        _say(client, made, wait=wait, as_json=as_json)


@endpoints.command("list")
def list_(
    *,
    name: Annotated[str, typer.Option("--name", help="Only those of this display name.")] = "",
    project: Project = "",
    location: Location = "",
    as_json: AsJson = False,
) -> None:
    """List the endpoints of a region, what is deployed on them, and its share of the requests."""
    with reported(as_json=as_json), vertexq.Client() as client:
        found = client.endpoints.list(display_name=name, project=project, location=location)
        if as_json:
            say_json([asdict(one) for one in found])
        elif not found:
            say("There are no such endpoints.")
        else:
            say_table(_ENDPOINT, [row for one in found for row in _rows(one)])


@endpoints.command()
def deploy(
    endpoint: EndpointId,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's id, or its full name.")],
    *,
    name: Annotated[str, typer.Option("--name", help="Its display name on the endpoint.")] = "",
    min_replicas: Annotated[int, typer.Option("--min-replicas", help="Replicas that always run.")] = 1,
    max_replicas: Annotated[
        int, typer.Option("--max-replicas", help="Replicas at most; as many as the least by default.")
    ] = 0,
    machine: Annotated[
        str, typer.Option("--machine", help="A machine type, for dedicated resources; else Google chooses.")
    ] = "",
    accelerator: Annotated[
        str, typer.Option("--accelerator", help="Such as NVIDIA_L4; needs --machine.")
    ] = "",
    accelerators: Annotated[int, typer.Option("--accelerators", help="How many of them a machine has.")] = 0,
    traffic: Traffic = None,
    deployed_model_id: Annotated[
        str, typer.Option("--model-id", help="Its id on the endpoint, 1 to 10 digits; else one is chosen.")
    ] = "",
    project: Project = "",
    location: Location = "",
    operation_id: OperationId = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Order a model of yours to be deployed: the first on an endpoint gets all requests, another one none."""
    from vertexq.endpoints import Resources  # noqa: PLC0415

    with _ordering(wait=wait, as_json=as_json) as client:
        resources = Resources(
            min_replicas=min_replicas, max_replicas=max_replicas, machine_type=machine,
            accelerator_type=accelerator, accelerators=accelerators,
        )  # fmt: skip
        ordered = client.endpoints.deploy(
            endpoint, model, display_name=name, resources=resources, traffic=_split(traffic or []),
            deployed_model_id=deployed_model_id, project=project, location=location, id=operation_id,
        )  # fmt: skip
        _say(client, ordered, wait=wait, as_json=as_json)


@endpoints.command()
def undeploy(
    endpoint: EndpointId,
    deployed_model_id: Annotated[
        str, typer.Argument(metavar="MODEL_ID", help="The model's id on the endpoint, as `list` shows it.")
    ],
    *,
    traffic: Traffic = None,
    project: Project = "",
    location: Location = "",
    operation_id: OperationId = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Order a model to be taken off an endpoint; one that gets requests needs --traffic for the others."""
    with _ordering(wait=wait, as_json=as_json) as client:
        ordered = client.endpoints.undeploy(
            endpoint, deployed_model_id, traffic=_split(traffic or []), project=project, location=location,
            id=operation_id,
        )  # fmt: skip
        _say(client, ordered, wait=wait, as_json=as_json)


@endpoints.command()
def delete(
    endpoint: EndpointId,
    *,
    force: Annotated[bool, typer.Option("--force", help="Undeploy what is deployed on it first.")] = False,
    project: Project = "",
    location: Location = "",
    operation_id: OperationId = None,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Order an endpoint to be deleted; one with models on it is left alone without --force."""
    with _ordering(wait=wait, as_json=as_json) as client:
        ordered = client.endpoints.delete(
            endpoint, force=force, project=project, location=location, id=operation_id
        )
        _say(client, ordered, wait=wait, as_json=as_json)


@endpoints.command()
def operations(
    operation_id: Annotated[
        str, typer.Argument(metavar="[ID]", help="One of them, or the newest without it.", show_default=False)
    ] = "",
    *,
    endpoint: Annotated[str, typer.Option("--endpoint", help="Only those on this endpoint.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=LIMIT_MOST, help="How many at most.")] = 20,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Say how orders to endpoints stand, the newest first; with --wait follow one to its end."""
    with reported(as_json=as_json), vertexq.Client() as client:
        if operation_id:
            _say(client, client.endpoints.operation(operation_id), wait=wait, as_json=as_json)
            return
        if wait:
            raise vertexq.BadInput("--wait follows one operation: name its id")
        found = client.endpoints.operations(endpoint=endpoint, limit=limit)
        if as_json:
            say_json([one.to_json() for one in found])
        elif not found:
            say("Nothing was ordered.")
        else:
            say_table(_OPERATION, [_operation_row(one) for one in found])


@endpoints.command()
def predict(
    endpoint: EndpointId,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Files of images.")],
    *,
    confidence_threshold: Annotated[
        float | None,
        typer.Option("--confidence-threshold", min=0, max=1, help="Labels that are less sure are left out."),
    ] = None,
    max_predictions: Annotated[
        int | None, typer.Option("--max-predictions", min=1, help="Labels of an image at most.")
    ] = None,
    project: Project = "",
    location: Location = "",
    as_json: AsJson = False,
) -> None:
    """Have an AutoML model label images at once; each is a request of at most 1.5 MB, and is paid for."""
    from vertexq.predictions import image, labels_of  # noqa: PLC0415

    wanted = {"confidenceThreshold": confidence_threshold, "maxPredictions": max_predictions}
    parameters = {name: value for name, value in wanted.items() if value is not None}
    with reported(as_json=as_json), vertexq.Client() as client:
        for one in images:
            image(one)  # all are looked at before the first is sent
        rows: list[list[str]] = []
        try:
            for one in images:
                said = client.endpoints.predict(
                    endpoint, [image(one)], parameters=parameters, project=project, location=location
                )
                labels = labels_of(said.predictions[0]) if said.predictions else []
                about = {"model": said.model, "deployed_model_id": said.deployed_model_id}
                if as_json:
                    say_json({"image": str(one), "labels": labels, **about})
                else:
                    rows += _label_rows(str(one), labels)
        finally:  # what was answered before an error has been paid for
            if rows:
                say_table(_LABEL, rows)


@endpoints.command()
def generate(
    model: OnlineModel,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What the model is asked.")],
    *,
    project: Project = "",
    location: Location = "",
    as_json: AsJson = False,
) -> None:
    """Have a Gemini model, or the endpoint of a tuned one, answer a prompt at once, at the online price."""
    with reported(as_json=as_json), vertexq.Client() as client:
        _say_answer(client.endpoints.generate(model, prompt, project=project, location=location), as_json)


@endpoints.command()
def embed(
    model: OnlineModel,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is embedded.")],
    *,
    parameter: Parameters = None,
    project: Project = "",
    location: Location = "",
    as_json: AsJson = False,
) -> None:
    """Have an embedding model embed a text at once, at the online price; --json gives all numbers."""
    with reported(as_json=as_json), vertexq.Client() as client:
        found = client.endpoints.embed(
            model, text, parameters=parameters_of(parameter or []), project=project, location=location
        )
        _say_answer(found, as_json)


def _say_answer(result: Result, as_json: bool) -> None:  # noqa: FBT001
    """Print an answer; a row that failed ends the command with 1, as one of a submission does."""
    if as_json:
        say_json(result)
    elif result.ok or result.blocked:
        say(shown(result))
    else:
        complain(result.error_message or "the model gave no answer")
    if not result.ok:
        raise typer.Exit(ExitCode.NOT_ALL_ANSWERED)


_ENDPOINT = (
    Column("endpoint"),
    Column("name", may_be_cut=True),
    Column("deployed model"),
    Column("model", may_be_cut=True),
    Column("traffic", right=True),
)
_OPERATION = (
    Column("id"),
    Column("order"),
    Column("endpoint", may_be_cut=True),
    Column("state"),
    Column("stage"),
    Column("reason", may_be_cut=True),
)
_LABEL = (Column("image", may_be_cut=True), Column("id"), Column("label"), Column("confidence", right=True))


@contextmanager
def _ordering(*, wait: bool, as_json: bool) -> Generator[vertexq.Client]:
    """Give a client for an order; one that is to be followed and cannot be is refused before it is given."""
    with reported(as_json=as_json), vertexq.Client() as client:
        has_ledger(wait=wait)
        yield client


def _say(client: vertexq.Client, operation: Operation, *, wait: bool, as_json: bool) -> None:
    if wait:
        follow_operation(client, operation.id, as_json=as_json)
    elif as_json:
        say_json(operation.to_json())
    else:
        say_operation(operation, followed=has_ledger(wait=False))


def _rows(endpoint: Endpoint) -> list[list[str]]:
    about = [endpoint.id, endpoint.display_name]
    return [
        [*about, one.id, one.model.rpartition("/")[2], f"{endpoint.traffic.get(one.id, 0)} %"]
        for one in endpoint.deployed
    ] or [[*about, "", "", ""]]


def _operation_row(one: Operation) -> list[str]:
    return [one.id, one.kind.value, one.endpoint, one.state.value, one.stage, one_line(one.reason)]


def _label_rows(image: str, labels: Sequence[Mapping[str, object]]) -> list[list[str]]:
    return [[image, *map(_shown, label.values())] for label in labels] or [[image, "", "", ""]]


def _shown(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _split(pairs: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for pair in pairs:
        name, separator, share = pair.partition("=")
        if not separator or not name or not share.isdecimal():
            raise vertexq.BadInput(f"--traffic {pair}: write it as MODEL=PERCENT, such as 0=100")
        if name in found:
            raise vertexq.BadInput(f"--traffic {pair}: {name} was given before; write it once")
        found[name] = int(share)
    return found
