"""Preconditions: ``ifGenerationMatch`` and its relatives, as pure decisions.

What each means: https://docs.cloud.google.com/storage/docs/request-preconditions (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vertexq.errors import ApiError, PreconditionFailed, Refused
from vertexq.simulator.objects import StoredObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What must hold of the object that is there; generation 0 stands for "none is there"."""

    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None

    def check(self, current: StoredObject | None) -> None:
        """Raise ``PreconditionFailed`` (412) unless everything asked for holds of ``current``."""
        if not (self._matches(current) and self._differs(current)):
            raise PreconditionFailed(
                "At least one of the pre-conditions you specified did not hold.",
                status=412,
                code="conditionNotMet",
            )

    def check_read(self, current: StoredObject) -> None:
        """Check as for a read: what was to differ and does not is "not modified" (304)."""
        if self._matches(current) and not self._differs(current):
            raise ApiError("Not Modified", status=304, code="notModified")
        self.check(current)

    def _matches(self, current: StoredObject | None) -> bool:
        generation = current.generation if current else 0
        metageneration = current.metageneration if current else None
        return self.generation_match in {None, generation} and (
            self.metageneration_match is None or self.metageneration_match == metageneration
        )

    def _differs(self, current: StoredObject | None) -> bool:
        generation = current.generation if current else 0
        metageneration = current.metageneration if current else None
        return self.generation_not_match != generation and (
            self.metageneration_not_match is None or self.metageneration_not_match != metageneration
        )


ANY = Conditions()
"""No conditions at all."""


def conditions_from(values: Mapping[str, str], *, prefix: str = "if") -> Conditions:
    """Read the conditions of a query; ``prefix`` is ``ifSource`` for the source of a rewrite."""
    return Conditions(
        generation_match=whole_number(values, f"{prefix}GenerationMatch"),
        generation_not_match=whole_number(values, f"{prefix}GenerationNotMatch"),
        metageneration_match=whole_number(values, f"{prefix}MetagenerationMatch"),
        metageneration_not_match=whole_number(values, f"{prefix}MetagenerationNotMatch"),
    )


def whole_number(values: Mapping[str, str], name: str) -> int | None:
    """Return a whole-number parameter, None when absent; raise ``Refused`` (400) for anything else."""
    text = values.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise Refused(f"Invalid value for {name}: {text!r}", status=400, code="invalidParameter") from error
