"""The Parquet store on Cloud Storage keeps the promise of every store."""

from __future__ import annotations

from tests.contract.gcs_files import GcsFilesContract


class TestParquetGcsStore(GcsFilesContract):
    """Packed columns."""

    scheme = "parquet+gs"
