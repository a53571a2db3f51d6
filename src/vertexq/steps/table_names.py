"""What the tables are called that jobs write and that we read. No I/O.

``vertexq_out_…`` is written by one attempt of a batch and stays; ``vertexq_read_…`` is the copy of it that is
read, and expires.
"""

from __future__ import annotations

from hashlib import blake2b

from vertexq.google.bigquery_messages import TableRef
from vertexq.model import Batch, Submission
from vertexq.sources.tables import is_table

_DIGEST_BYTES = 4


def output_of(batch: Batch, submission: Submission, folder: str, tag: str) -> str:
    """Return where an attempt of a batch writes: a folder of its own, or a table.

    ``folder`` is the batch's (``gs://…/``), ``tag`` the attempt's.
    """
    if not submission.destination:
        return folder + tag
    return f"{submission.destination}.{stem(batch.id, folder)}_{tag.replace('-', '_')}"


def stem(batch_id: str, folder: str) -> str:
    """Return how the names of a batch's output tables begin; no other ledger's batch shares them."""
    return _named_for(batch_id) + blake2b(folder.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def is_output_of(batch_id: str, address: str) -> bool:
    """Tell whether an address is that of an output table of a batch with this id, whoever's it is."""
    return f".{_named_for(batch_id)}" in address


def _named_for(batch_id: str) -> str:
    return f"vertexq_out_{batch_id.replace('-', '_')}_"


def table_at(address: str) -> TableRef | None:
    """Return the table at ``bq://project.dataset.table``; None for an address that names no table."""
    if not is_table(address):
        return None
    try:
        return TableRef.at(address)
    except ValueError:
        return None


def copy_of(address: str, snapshot_ms: int) -> TableRef:
    """Return the copy that is read of the table at ``address`` as it was at an instant."""
    ref = TableRef.at(address)
    digest = blake2b(f"{address}\0{snapshot_ms}".encode(), digest_size=16).hexdigest()
    return TableRef(project=ref.project, dataset=ref.dataset, table=f"vertexq_read_{digest}")
