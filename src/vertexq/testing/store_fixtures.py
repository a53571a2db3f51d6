"""Where a store of the contracts is and how it is opened: the part that they share."""

from __future__ import annotations

import pytest

from vertexq.stores import Store, open_store


class StoreFixtures:
    """What a subclass of ``StoreContract`` or ``StoreLayoutContract`` says of its store.

    It must have a fixture ``store_url``: where a store is that holds nothing yet, without a layout; each test
    has its own.
    """

    ledger_url: str = ""
    """Where the ledger is, for stores that keep their memory there."""

    @pytest.fixture
    def storage_endpoint(self) -> str:
        """Say where the Cloud Storage emulator is, for stores on gs://."""
        return ""

    def opened(self, store_url: str, storage_endpoint: str) -> Store:
        """Return the store, not yet prepared; override it where results are read elsewhere than written."""
        return open_store(
            store_url, storage_endpoint=storage_endpoint, ledger_url=self.ledger_url, name="contract"
        )
