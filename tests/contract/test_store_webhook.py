"""The webhook store keeps the promise of every store, as seen by its receiver."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.contract.delivering import a_worker
from tests.receiving import Receiver, receiving_beside
from vertexq import steps
from vertexq.errors import BadInput, BadSettings
from vertexq.results import Chunk, Outcome, QuarantinedLine, Result, Row, SourceRange
from vertexq.stores import Store, open_store
from vertexq.stores.base import Committed
from vertexq.stores.columns import JSON_COLUMNS, VECTOR_COLUMN, decode, result_of
from vertexq.stores.poison import beats
from vertexq.testing import StoreContract
from vertexq.testing.store_rows import SUBMISSION, bad_line, chunk, full_row, row
from vertexq.webhooks.messages import MESSAGE_BYTES, messages_of
from vertexq.webhooks.store import WebhookStore

_EMPTY: dict[str, Any] = dict.fromkeys(Row._fields)
_JSON_NAMES = frozenset(Row._fields[at] for at in (*JSON_COLUMNS, VECTOR_COLUMN))


class TestWebhookStore(StoreContract):
    """A receiver on loopback; the outbox is in a ledger of the test's own."""

    keeps_numbers_whole = True

    home: Path
    receiving: Receiver

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> Iterator[str]:
        """Name the receiver, and the ledger of the house that delivers."""
        self.home, self.ledger_url = tmp_path, f"sqlite:///{tmp_path}/ledger.db"
        with receiving_beside() as self.receiving:
            yield self.receiving.store_url()

    def opened(self, store_url: str, storage_endpoint: str) -> Store:
        """Return the store, whose results are with the receiver."""
        written = super().opened(store_url, storage_endpoint)
        assert isinstance(written, WebhookStore)
        return Received(written, self.home, self.receiving)

    def test_reading_results_takes_flat_memory(
        self, store: Store, store_url: str, storage_endpoint: str
    ) -> None:
        """There is nothing to be read: a webhook keeps no results, and says so."""
        store.write(chunk(row("a")), fence=1)

        with (
            super().opened(store_url, storage_endpoint) as plain,
            pytest.raises(BadInput, match="no results"),
        ):
            plain.results(SUBMISSION)


class Received(Store):
    """Writes to a webhook store; before it reads, everything is delivered, and the receiver is asked."""

    def __init__(self, written: WebhookStore, home: Path, receiver: Receiver) -> None:
        super().__init__(written.url)
        self._written, self._home, self._receiver = written, home, receiver

    def prepare(self) -> None:
        """Prepare the store."""
        self._written.prepare()

    def close(self) -> None:
        """Close it."""
        self._written.close()

    def write(self, chunk: Chunk, *, fence: int) -> frozenset[str]:
        """Write."""
        return self._written.write(chunk, fence=fence)

    def results(self, submission_id: str, *, outcomes: frozenset[Outcome] | None = None) -> Iterator[Result]:
        """Return the best row of each key, as a receiver keeps it: ids once, a better row in place."""
        best: dict[str, tuple[Row, Result]] = {}
        for one in self._items("vertexq.rows", "rows", submission_id):
            values = {name: value for name, value in one.items() if name in _JSON_NAMES}  # values already
            columns: dict[str, Any] = {**_EMPTY, **one, **dict.fromkeys(values)}
            found = Row(**columns)
            if found.key not in best or beats(found, best[found.key][0]):
                best[found.key] = (found, replace(result_of(found), **values))
        return iter([one for _, one in best.values() if outcomes is None or one.outcome in outcomes])

    def quarantine(self, submission_id: str) -> Iterator[QuarantinedLine]:
        """Return the lines."""
        lines = self._items("vertexq.quarantined", "lines", submission_id)
        read: list[dict[str, Any]] = [{**one, "raw": base64.b64decode(one["raw"])} for one in lines]
        return iter([QuarantinedLine(**one) for one in read])

    def _items(self, kind: str, name: str, submission_id: str) -> list[dict[str, Any]]:
        asyncio.run(self._delivered())
        messages = [decode(one.body) for one in self._receiver.by_id.values()]
        wanted = [one["data"] for one in messages if one["type"] == kind]
        return [item for data in wanted if data["submission_id"] == submission_id for item in data[name]]

    async def _delivered(self) -> None:
        async with a_worker(self._home, self.url, name="contract") as services:
            await steps.deliver(services, "webhook:contract")

    def _committed(self, source: SourceRange) -> Committed | None:
        return self._written._committed(source)  # pyright: ignore[reportPrivateUsage]

    def _write(self, chunk: Chunk, *, fence: int) -> None:
        self._written._write(chunk, fence=fence)  # pyright: ignore[reportPrivateUsage]


def test_a_chunk_always_gives_the_same_messages_of_bounded_size() -> None:
    """About 256 kB each; a row that is larger goes alone, and every row is in one of them."""
    rows = [row(f"k{number}", text="x" * 1_000) for number in range(1_000)]
    made = chunk(
        *rows, row("large", text="y" * 2 * MESSAGE_BYTES), full_row("full"), quarantined=(bad_line(1),)
    )

    messages = list(messages_of(made))

    assert messages == list(messages_of(made))
    values = [decode(body) for _, body in messages]
    assert [kind for kind, _ in messages] == [value["type"] for value in values]
    assert sum(len(value["data"].get("rows", ())) for value in values) == 1_002
    assert sum(len(value["data"].get("lines", ())) for value in values) == 1
    sizes = [len(body) for _, body in messages]
    assert sum(size > MESSAGE_BYTES * 1.1 for size in sizes) == 1
    assert len(sizes) < 10


def test_without_a_ledger_there_is_no_webhook_store() -> None:
    """Its outbox would have no place. To write, the secret is not needed."""
    url = "webhook+https://hooks.example.com/secret-path?secret_env=HOOK_SECRET"
    with pytest.raises(BadSettings, match="VERTEXQ_LEDGER_URL"):
        open_store(url)

    assert "secret-path" not in repr(open_store(url, ledger_url="sqlite:///x.db", name="hook"))
