"""Where results land; one file a store, picked by the scheme of its URL."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from vertexq.errors import BadSettings, UnknownStore
from vertexq.stores.base import Committed, RowsRefused, Store, admit, without_secrets

__all__ = ["Committed", "RowsRefused", "Store", "admit", "open_store", "schemes"]

_EXTRAS = {
    "aiohttp": "worker",
    "duckdb": "duckdb",
    "google": "worker",
    "google_crc32c": "worker",
    "psycopg": "postgres",
    "pyarrow": "parquet",
}
"""What brings a package that one of our stores imports."""

GROUP = "vertexq.stores"
"""The entry point group: the name is the scheme, the value the class."""


def open_store(
    url: str, *, storage_endpoint: str = "", bigquery_endpoint: str = "", ledger_url: str = "", name: str = ""
) -> Store:
    """Return the store at ``url``, not yet prepared: nothing is connected to or created.

    ``storage_endpoint`` is the base URL of a Cloud Storage emulator; only stores on ``gs://`` look at it;
    ``bigquery_endpoint`` is that of a BigQuery emulator.
    ``ledger_url``, and the ``name`` that the environment gives the store, are for stores that keep their
    memory in the ledger's database.
    Raise ``UnknownStore`` for a scheme that nobody registered and ``BadSettings`` for a URL without one.
    """
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise BadSettings(
            f"a store's URL has no scheme; known are {', '.join(schemes())} (such as sqlite:///f.db)"
        )
    found = {point.name: point for point in entry_points(group=GROUP)}
    if scheme not in found:
        raise UnknownStore(f"no store takes {scheme}:// URLs; known schemes are {', '.join(sorted(found))}")
    kind = _load(found[scheme], url)
    options = {"storage_endpoint": storage_endpoint} if kind.takes_storage_endpoint else {}
    options |= {"bigquery_endpoint": bigquery_endpoint} if kind.takes_bigquery_endpoint else {}
    options |= {"ledger_url": ledger_url, "name": name} if kind.takes_ledger else {}
    return kind(url, **options)


def schemes() -> list[str]:
    """Return the schemes of all installed stores, sorted."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def _load(point: EntryPoint, url: str) -> type[Store]:
    try:
        kind: type[Store] = point.load()
    except ImportError as error:
        name = error.name or ""
        extra = _EXTRAS.get(name.partition(".")[0])
        said = f"; pip install 'vertexq[{extra}]'" if extra else ""
        raise BadSettings(
            f"the store {without_secrets(url)} needs the package {name!r}, which is not installed{said}"
        ) from error
    return kind
