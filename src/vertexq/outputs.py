"""Which objects below a job's output directory are to be read. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

_INCREMENTAL = "incremental_predictions"


def final_objects(names: Sequence[str]) -> list[str]:
    """Choose from names relative to the output directory; the order is the order of reading.

    A final ``predictions.jsonl`` holds every row. Jobs also export copies of finished rows while they run,
    below ``incremental_predictions``; those count only when no final file was written, and repeated rows are
    then told apart by their keys. The layout is not documented, so any ``.jsonl`` object about predictions
    is taken.
    """
    lines = sorted(name for name in names if name.endswith(".jsonl") and "prediction" in name)
    final = [name for name in lines if _INCREMENTAL not in name]
    return final or lines
