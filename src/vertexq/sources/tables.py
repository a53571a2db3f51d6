"""Tables in BigQuery as sources: how one is written, and what can be refused before anybody looks. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vertexq.errors import BadSource
from vertexq.model import Policy

SCHEME = "bq://"
_ADDRESS = re.compile(r"bq://[a-z][a-z0-9.:-]*\.\w+\.[\w-]+")
_MOST = 2_000  # characters of bigquerySource.inputUri (discovery document, revision 20261106)
_NOT_OF_TABLES = {
    "as_is": "the rows need keys of ours, so that jobs always read a copy",
    "repair": "requests are not changed in a table; mend them with SQL",
    "resume": "the output of a job is resumed in Cloud Storage; select the rows without an answer with SQL",
    "split_conflicts": "rows of a table need not have one shape",
}
_REGIONLESS = {
    "global": "has no region in which a dataset could be",
    "us": "is a multi-region, of which jobs read no datasets",
    "eu": "is a multi-region, of which jobs read no datasets",
}


def is_table(source: object) -> bool:
    """Tell whether an address is one of BigQuery; all others are of Cloud Storage, or no addresses."""
    return isinstance(source, str) and source.startswith(SCHEME)


def check_tables(uris: Sequence[str]) -> None:
    """Raise ``BadSource`` unless there is one address, and it is a table's."""
    if len(uris) > 1:
        raise BadSource("a submission takes one table; write a view or a table that holds all the rows")
    for uri in uris:
        if not _ADDRESS.fullmatch(uri) or len(uri) > _MOST:
            raise BadSource(
                f"{uri[:200]!r} is no table's address; write bq://project.dataset.table, without a wildcard, "
                "a partition or a time"
            )


def check_options(policy: Policy, *, template: str) -> None:
    """Raise ``BadSource`` for what cannot be done to the rows of a table."""
    for name, why in _NOT_OF_TABLES.items():
        if getattr(policy, name):
            raise BadSource(f"{name} does not go with a table: {why}; leave it out")
    if template:
        raise BadSource(
            "a template does not go with a table; put the whole request into its column, as by a view"
        )


def place_fault(location: str) -> str:
    """Say why jobs in ``location`` can read no table; empty when they may."""
    why = _REGIONLESS.get(location, "")
    return f"the location {location} {why}: choose the region of the table's dataset" if why else ""


def region_fault(dataset_location: str, location: str) -> str:
    """Say why jobs in ``location`` cannot read a dataset; empty when they can.

    Datasets must be in the jobs' region, and multi-region ones are not supported (Google's page on batch
    prediction from BigQuery, read 2026-11-21).
    """
    if why := place_fault(location):
        return why
    if dataset_location.upper() in {"US", "EU"}:
        return (
            f"its dataset is in the multi-region {dataset_location.upper()}, of which jobs read no tables: "
            f"copy the table into a dataset of {location}"
        )
    if dataset_location.lower() != location:
        return (
            f"its dataset is in {dataset_location.lower()} and the jobs run in {location}: submit it with "
            f"location {dataset_location.lower()}, or copy the table"
        )
    return ""
