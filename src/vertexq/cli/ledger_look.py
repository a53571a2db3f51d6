"""A look at the ledger that changes nothing: no tables are made, no file comes into being."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vertexq.ledger import Ledger

SWEEP = "sweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerLook:
    """What a ledger says of itself.

    ``clock_off_s`` is how far its clock is from this machine's, ``swept_s`` how long ago the last sweep was,
    None for never.
    """

    clock_off_s: float
    swept_s: float | None


def missing_file(url: str) -> Path | None:
    """Return the file of an SQLite ledger that nobody has made yet."""
    scheme, _, path = url.partition(":///")
    file = Path(path.partition("?")[0])
    named = scheme.startswith("sqlite") and not path.startswith(
        "file:"
    )  # such a URI is SQLite's own business
    return file if named and not file.exists() else None


def no_ledger(url: str) -> str:
    """Say that there is no ledger to read from; "" when there is one, or when only asking it can tell."""
    file = missing_file(url)
    if file is None:
        return ""
    return (
        f"there is no ledger at {file.absolute()}: nothing has been enqueued with these settings; "
        "VERTEXQ_LEDGER_URL says where it is"
    )


def look_at_ledger(url: str) -> LedgerLook:
    """Ask the ledger how it is; raise ``Unreachable``, or ``BadSettings`` for tables of another version."""
    ledger = Ledger.open(url, migrate=False)
    try:
        now = ledger.now()
        swept = ledger.last_beats().get(SWEEP)
    finally:
        ledger.close()
    return LedgerLook(
        clock_off_s=(now - datetime.now(UTC)).total_seconds(),
        swept_s=(now - swept).total_seconds() if swept else None,
    )
