"""For tests, ours and users: the simulator, the store contract, waiting for a condition."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vertexq.testing.servers import postgres_server, valkey_server
    from vertexq.testing.simulator import running_simulator
    from vertexq.testing.store_contract import StoreContract
    from vertexq.testing.store_layout import StoreLayoutContract

__all__ = ["StoreContract", "StoreLayoutContract", "postgres_server", "running_simulator", "valkey_server"]

_WHERE = {
    "postgres_server": "vertexq.testing.servers",
    "valkey_server": "vertexq.testing.servers",
    "running_simulator": "vertexq.testing.simulator",
    "StoreContract": "vertexq.testing.store_contract",
    "StoreLayoutContract": "vertexq.testing.store_layout",
}


def __getattr__(name: str) -> Any:
    """Import on first use: each name needs libraries the others do without."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name.startswith("Store"):
        _explain_asserts()
    return getattr(import_module(_WHERE[name]), name)


def _explain_asserts() -> None:
    import pytest  # noqa: PLC0415  (only those who run the contract have it)

    parts = ("contract", "crashes", "layout", "replacing", "vectors")
    pytest.register_assert_rewrite(*(f"vertexq.testing.store_{part}" for part in parts))
