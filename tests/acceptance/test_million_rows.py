"""Readers that are killed again and again load the same rows as readers that are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.million import ROWS, million_site, run

SHARE, OFTEN_S = 10, 2.0  # `make faults` takes all 1,000,000 rows, and 5 seconds


@pytest.mark.timeout(600)
def test_killed_readers_load_the_same_as_an_undisturbed_run(tmp_path: Path, postgres_url: str) -> None:
    """40 objects of five jobs, three readers, one killed every 2 s: count, checksum and cost agree."""
    rows = ROWS // SHARE
    with million_site(tmp_path, postgres_url, rows) as site:
        calm = run(site, "calm", rows=rows)
        rough = run(site, "rough", rows=rows, kill_every_s=OFTEN_S)

    assert calm.counted == rows
    assert rough.kills > 0
    assert (rough.stored, rough.counted, rough.cost_pusd) == (calm.stored, calm.counted, calm.cost_pusd)
