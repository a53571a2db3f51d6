"""Google's own client, google-cloud-bigquery, pointed at a simulator. It has no types that help a test."""

from __future__ import annotations

import importlib
from typing import Any

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
