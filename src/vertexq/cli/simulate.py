"""``vertexq simulate``: run Google on localhost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vertexq.cli.reporting import AsJson, reported, say, say_json

if TYPE_CHECKING:
    from vertexq.simulator.behaviour import Behaviour
    from vertexq.simulator.server import Simulator

PROJECT = "simulated-project"


def simulate(
    *,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="0 takes a free one.")] = 8_090,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Keep objects and jobs here; else nothing is kept.")
    ] = None,
    bucket: Annotated[
        list[str] | None, typer.Option("--bucket", help="A bucket that is there; may be repeated (vertexq).")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Decides everything that is left to chance.")] = 0,
    speed: Annotated[
        float, typer.Option("--speed", min=0.001, help="How many times as fast as usual jobs go.")
    ] = 1.0,
    behaviour: Annotated[
        str, typer.Option("--behaviour", metavar="JSON", help='How jobs fare, such as {"bad_rows": 0.01}.')
    ] = "{}",
    as_json: AsJson = False,
) -> None:
    """Stand in for Vertex AI, Cloud Storage and BigQuery until Ctrl-C; print the variables to set."""
    import asyncio  # noqa: PLC0415

    from vertexq.errors import BadSettings  # noqa: PLC0415

    with reported(as_json=as_json):
        try:
            from vertexq.simulator.__main__ import serve_until_signal  # noqa: PLC0415
            from vertexq.simulator.server import Simulator  # noqa: PLC0415
            from vertexq.simulator.timing import Timing  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise BadSettings(
                f"the simulator needs the package {error.name}; install vertexq[local]"
            ) from error
        buckets = bucket or ["vertexq"]
        simulator = Simulator(
            seed=seed,
            timing=Timing().faster(speed),
            behaviour=_behaviour(behaviour),
            data_dir=data_dir,
            port=port,
            host=host,
            buckets=buckets,
        )
        asyncio.run(
            serve_until_signal(simulator, lambda _: _say_variables(simulator, buckets, as_json=as_json))
        )


def _behaviour(text: str) -> Behaviour:
    import orjson  # noqa: PLC0415

    from vertexq.errors import BadInput  # noqa: PLC0415
    from vertexq.simulator.behaviour import behaviour_from_json  # noqa: PLC0415

    try:
        return behaviour_from_json(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise BadInput(f"--behaviour is not JSON: {error.msg}") from error


def _say_variables(simulator: Simulator, buckets: Sequence[str], *, as_json: bool) -> None:
    variables = {
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "GOOGLE_CLOUD_LOCATION": "us-central1",
        "VERTEXQ_VERTEX_ENDPOINT": simulator.url,
        "STORAGE_EMULATOR_HOST": simulator.url,
        "BIGQUERY_EMULATOR_HOST": simulator.url,
        "VERTEXQ_STAGING": f"gs://{buckets[0]}/staging",
    }
    if as_json:
        say_json({"url": simulator.url, "variables": variables})
        return
    say(f"The simulator listens on {simulator.url}. In the shells of workers and producers:\n")
    for name, value in variables.items():
        say(f"export {name}={value}")
    say("\nCtrl-C stops it.")
