"""Tenants' shares of the slots, as the settings write them. No I/O."""

from __future__ import annotations


def parse_shares(text: str) -> dict[str, float]:
    """Read ``team-a=3,team-b=1``: a positive number a tenant. Raise ``ValueError`` for anything else."""
    shares: dict[str, float] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, separator, number = pair.rpartition("=")
        try:
            share = float(number)
        except ValueError:
            share = 0.0
        if not separator or not name or not 0 < share < float("inf"):
            raise ValueError(
                f"must be of the form team-a=3,team-b=1 with positive numbers, not {pair[:40]!r}"
            )
        shares[name] = share
    return shares
