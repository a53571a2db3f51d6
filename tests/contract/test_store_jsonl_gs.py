"""The JSONL store on Cloud Storage keeps the promise of every store."""

from __future__ import annotations

from tests.contract.gcs_files import GcsFilesContract


class TestJsonlGcsStore(GcsFilesContract):
    """Plain lines."""

    keeps_numbers_whole = True
    scheme = "jsonl+gs"
