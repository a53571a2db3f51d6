"""Datasets in BigQuery that jobs are to write tables in: what can be refused before anybody looks. No I/O."""

from __future__ import annotations

import re

from vertexq.errors import BadInput
from vertexq.families.base import Family
from vertexq.places import REGIONLESS

_DATASET = re.compile(r"bq://[a-z][a-z0-9:-]*\.\w{1,1024}")
_TABLE = re.compile(r"bq://[a-z][a-z0-9:-]*\.\w+\.[\w-]+")
_FORM = (
    "write bq://project.dataset, a dataset in the region of the jobs, in which each makes a table of its own"
)


def check_destination(destination: str, family: Family, location: str) -> None:
    """Raise ``BadInput`` unless jobs of a family can write there; no destination is Cloud Storage."""
    if not destination:
        return
    if _TABLE.fullmatch(destination):
        raise BadInput(f"{destination} names a table, and a table name is not allowed here; {_FORM}")
    if family.tables is None:
        raise BadInput(
            f"jobs of models like {family.example} write no tables; leave the destination out, and the "
            "results come by way of Cloud Storage"
        )
    if not _DATASET.fullmatch(destination):
        raise BadInput(f"{destination[:200]!r} is no dataset's address; {_FORM}")
    if location in REGIONLESS:
        raise BadInput(dataset_fault(destination, "", location))


def dataset_fault(destination: str, dataset_location: str, location: str) -> str:
    """Say why jobs in ``location`` cannot write to a dataset; empty when they can.

    Datasets must be in the jobs' region, and multi-region ones are not supported (Google's page on batch
    prediction to BigQuery, read 2026-11-21).
    """
    cannot, place = f"{destination} cannot be written to", dataset_location.lower()
    if location in REGIONLESS:
        where = f"jobs in {location} have no region, and a dataset must be in the region of the jobs"
        return f"{cannot}: {where}; choose a region; nothing was sent"
    if place in {"us", "eu"}:
        where = f"it is in the multi-region {place.upper()}, and jobs write to datasets of one region"
        return f"{cannot}: {where}; take a dataset in {location}; nothing was sent"
    if place != location:
        where = f"it is in {place} and the jobs run in {location}"
        return f"{cannot}: {where}; take a dataset there, or submit with location {place}; nothing was sent"
    return ""
