"""How long the simulated Vertex AI takes for what it does."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self, cast


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Durations in seconds, and the rate of rows; the defaults suit somebody who looks on.

    A new job is PENDING for ``pending_s``, then QUEUED for ``queued_s`` (0: never), then RUNNING at
    ``rows_per_s`` (0: as fast as it goes) and at least ``run_s``. A bucket that is not there is noticed after
    ``bad_bucket_s``; a running job that is cancelled stays CANCELLING for ``cancelling_s``; deleting takes
    ``operation_s``, as any other operation does but a deploy, which takes ``deploy_s``.
    """

    pending_s: float = 1.0
    queued_s: float = 0.0
    rows_per_s: float = 1000.0
    run_s: float = 0.5
    bad_bucket_s: float = 0.5
    cancelling_s: float = 0.5
    operation_s: float = 0.2
    deploy_s: float = 3.0

    @classmethod
    def fast(cls) -> Self:
        """Return the timing for tests: a small job lives about 50 ms."""
        return cls(
            pending_s=0.01,
            rows_per_s=0,
            run_s=0.01,
            bad_bucket_s=0.01,
            cancelling_s=0.01,
            operation_s=0.01,
            deploy_s=0.05,
        )

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for a time below nothing."""
        if any(getattr(self, each.name) < 0 for each in fields(self)):
            raise ValueError(f"no time and no rate may be below 0: {self}")

    def faster(self, factor: float) -> Self:
        """Return this timing ``factor`` times as fast (above 0; below 1 is slower)."""
        scaled = {each.name: getattr(self, each.name) / factor for each in fields(self)}
        return type(self)(**{**scaled, "rows_per_s": self.rows_per_s * factor})

    def due_s(self, rows: int) -> float:
        """Return when the row number ``rows`` is due, in seconds since the job began to run."""
        return rows / self.rows_per_s if self.rows_per_s else 0.0


def timing_from_json(value: object) -> Timing:
    """Read a timing from a JSON object with some of its fields; raise ``ValueError`` or ``TypeError``."""
    if not isinstance(value, dict):
        raise TypeError("expected an object of numbers")
    given = cast("dict[str, object]", value)
    return Timing(**{name: float(str(each)) for name, each in given.items()})
