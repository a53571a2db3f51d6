"""The rows of an order, in every form that a producer has them, on their way into the ledger."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import cast

from vertexq.draft import Draft
from vertexq.errors import BadInput, BadSource
from vertexq.families import family_of
from vertexq.model import NewSubmission
from vertexq.orders import Order
from vertexq.sources.kinds import is_object
from vertexq.sources.tables import is_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """An order whose rows have been checked and spooled."""

    submission: NewSubmission
    draft: Draft

    def chunks(self) -> Iterator[bytes]:
        """Yield the spool's chunks."""
        return self.draft.chunks()


@contextmanager
def order_for_rows(
    order: Order,
    source: Sequence[Path] | BufferedIOBase | Iterable[object],
    *,
    line_limit_bytes: int,
    on_rows: Callable[[int], None] | None = None,
) -> Generator[Spooled]:
    """Check and spool the rows of files, a stream or an iterable; no temporary file is left behind."""
    order.check_rows()
    draft = _draft(order, _name(source), on_rows)
    try:
        if isinstance(source, BufferedIOBase):
            draft.add_stream(source, line_limit_bytes=line_limit_bytes)
        elif paths := paths_of(source):
            for path in paths:
                draft.add_file(path, line_limit_bytes=line_limit_bytes)
        else:
            draft.add_rows(source)
        yield _finished(order, draft)
    finally:
        draft.discard()


def paths_of(source: object) -> list[Path]:
    """Return the files that a source names as paths; none when it is of another kind."""
    if not isinstance(source, list | tuple) or not source:
        return []
    items: list[object] = [*source]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return [one for one in items if isinstance(one, Path)] if isinstance(items[0], Path) else []


def uris_of(source: object, order: Order) -> list[str]:
    """Return the ``gs://`` and ``bq://`` URIs that a source is made of; none when it is of another kind.

    None, either, when each of them is a row by itself, as images are.
    """
    uris = _uris(source)
    return uris if any(map(order.holds_rows, uris)) else []


def _uris(source: object) -> list[str]:
    if isinstance(source, str):
        return [source] if is_object(source) or is_table(source) else []
    if not isinstance(source, list | tuple):
        return []
    items = cast("Sequence[object]", source)
    uris = [str(one) for one in items if is_object(one) or is_table(one)]
    if uris and len(uris) < len(items):
        raise BadSource("some of these rows are URIs and some are not; pass URIs or rows, not both")
    return uris


def rows_of(source: str | Path | Iterable[object]) -> Sequence[Path] | Iterable[object]:
    """Return a source of rows: one path is a list of one, and so is one image."""
    if is_object(source):
        return [source]
    if isinstance(source, str | Path):
        return [Path(source)]
    if isinstance(source, Mapping | bytes) or source is None:  # pyright: ignore[reportUnnecessaryComparison]
        kind = type(cast("object", source)).__name__
        raise BadInput(f"rows must come as an iterable of texts or mappings, not as one {kind}")
    if 0 < len(paths_of(source)) < len(cast("list[object]", source)):
        raise BadSource("some of these sources are paths and some are not; pass paths or rows, not both")
    return source


def _name(source: object) -> str:
    paths = paths_of(source)
    if len(paths) > 1:
        return f"{paths[0]} and {len(paths) - 1} more"
    return str(paths[0]) if paths else str(getattr(source, "name", "the rows"))


def _draft(order: Order, name: str, on_rows: Callable[[int], None] | None) -> Draft:
    return Draft(
        family_of(order.model, order.family),
        name=name,
        key_field=order.key_field,
        identity=order.identity(),
        policy=order.policy,
        template=order.filler(),
        on_rows=on_rows,
        parameters=order.parameters,
        model=order.model,
    )


def _finished(order: Order, draft: Draft) -> Spooled:
    """Close the draft; raise ``BadSource`` when a row of it cannot be sent."""
    fingerprint = draft.close()
    estimate = draft.verdict.estimate
    new = order.for_rows(rows=draft.intake.rows, estimate=estimate, fingerprint=fingerprint)
    return Spooled(submission=new, draft=draft)
