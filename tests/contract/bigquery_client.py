"""Google's own client, google-cloud-bigquery, pointed at a simulator. It has no types that help a test."""

from __future__ import annotations

import importlib
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from vertexq.simulator.server import Simulator

Api = Any
bigquery: Api = importlib.import_module("google.cloud.bigquery")
errors: Api = importlib.import_module("google.api_core.exceptions")
_anonymous: Api = importlib.import_module("google.auth.credentials").AnonymousCredentials
PROJECT = "simulated-project"


def client_for(url: str) -> Api:
    """Return a client of the simulator at ``url``; close it."""
    return bigquery.Client(
        project=PROJECT,
        credentials=_anonymous(),
        client_options={"api_endpoint": url},
        location="us-central1",
    )


@contextmanager
def client_with_dataset(simulator: Simulator) -> Generator[Api]:
    """Give Google's client and an empty dataset ``d``; in the end take away both, and every fault."""
    made = client_for(simulator.url)
    dataset = bigquery.Dataset(f"{PROJECT}.d")
    dataset.location = "us-central1"
    made.create_dataset(dataset)
    yield made
    simulator.faults.clear()
    made.delete_dataset("d", delete_contents=True)
    made.close()
