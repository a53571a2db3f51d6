"""Which objects of a job's output directory are read."""

from __future__ import annotations

import pytest

from vertexq.outputs import final_objects


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (["predictions.jsonl"], ["predictions.jsonl"]),
        (["incremental_predictions/0.jsonl", "predictions.jsonl"], ["predictions.jsonl"]),
        (
            ["incremental_predictions/1.jsonl", "incremental_predictions/0.jsonl"],
            ["incremental_predictions/0.jsonl", "incremental_predictions/1.jsonl"],
        ),
        (
            ["predictions_00002.jsonl", "predictions_00001.jsonl"],
            ["predictions_00001.jsonl", "predictions_00002.jsonl"],
        ),
        (["predictions-00000-of-00002.jsonl"], ["predictions-00000-of-00002.jsonl"]),
        (["errors.txt", "readme.jsonl", "predictions.csv", "predictions.jsonl.tmp"], []),
        (
            ["predictions_00001.jsonl", "errors_00001.jsonl", "errors.jsonl"],
            ["errors_00001.jsonl", "predictions_00001.jsonl"],
        ),
        (["errors_00001.jsonl", "errors_00002.jsonl"], ["errors_00001.jsonl", "errors_00002.jsonl"]),
        (
            ["prediction-flowers-2026Z/errors_00001.jsonl", "incremental_predictions/0.jsonl"],
            ["incremental_predictions/0.jsonl", "prediction-flowers-2026Z/errors_00001.jsonl"],
        ),
        ([], []),
    ],
)
def test_final_files_come_before_the_copies_made_while_the_job_ran(names: list[str], read: list[str]) -> None:
    """Copies are read only when there is nothing final; the order never depends on the listing."""
    assert final_objects(names) == read
