"""Gemini, end to end: a producer's rows through broker, worker, Google and store."""

from __future__ import annotations

from tests.acceptance.families_house import FamiliesHouse


def test_gemini_reads_and_writes_cloud_storage(families: FamiliesHouse) -> None:
    """Each row of a gs:// object has its answer in the store, under the producer's key."""
    rows = [{"key": f"k{number}", "prompt": f"Say {number}"} for number in range(200)]
    source = families.put_rows("gemini/rows.jsonl", rows)

    ran = families.run(source, model="gemini-2.5-flash")

    assert ran.status.counts.succeeded == 200
    assert set(ran.results) == {row["key"] for row in rows}
    assert [create["model"] for create in families.creates(ran)] == [
        "publishers/google/models/gemini-2.5-flash"
    ]
