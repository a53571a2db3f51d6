"""From what a producer asks for to a ``NewSubmission``: ids, identity, and the rows' draft."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from io import BufferedIOBase
from pathlib import Path

import orjson

from vertexq.draft import Draft
from vertexq.families import family_of
from vertexq.ids import checked_submission_id, new_submission_id
from vertexq.intake import check_object
from vertexq.model import NewSubmission, SourceKind
from vertexq.places import check_labels, check_place


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a producer asked for, besides the rows."""

    id: str | None
    model: str
    store: str
    key_field: str
    labels: dict[str, str]
    project: str
    location: str

    def checked(self) -> Order:
        """Return the order; raise ``BadInput`` when Google would refuse its project, location or labels."""
        check_place(self.project, self.location)
        check_labels(self.labels)
        return self

    def identity(self) -> dict[str, object]:
        """Return what makes two orders the same one; the id is not part of it."""
        fields = asdict(self)
        del fields["id"]
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """An order whose rows have been checked and spooled."""

    submission: NewSubmission
    draft: Draft

    def chunks(self) -> Iterator[bytes]:
        """Yield the spool's chunks."""
        return self.draft.chunks()


def order_for_object(order: Order, uri: str) -> NewSubmission:
    """Return the submission of a ``gs://`` object; its rows are checked when it is staged."""
    family_of(order.model)
    check_object(uri)
    identity = orjson.dumps([order.identity(), uri], option=orjson.OPT_SORT_KEYS)
    return _submission(
        order,
        SourceKind.GCS,
        source=uri,
        rows=None,
        fingerprint=blake2b(identity, digest_size=16).hexdigest(),
    )


@contextmanager
def order_for_rows(
    order: Order, source: str | Path | Iterable[object], *, line_limit_bytes: int
) -> Generator[Spooled]:
    """Check and spool the rows of a file, a stream or an iterable; no temporary file is left behind."""
    name = str(source) if isinstance(source, str | Path) else str(getattr(source, "name", "the rows"))
    draft = new_draft(order, name)
    try:
        if isinstance(source, str | Path):
            draft.add_file(Path(source), line_limit_bytes=line_limit_bytes)
        elif isinstance(source, BufferedIOBase):
            draft.add_stream(source, line_limit_bytes=line_limit_bytes)
        else:
            draft.add_rows(source)
        yield finished(order, draft)
    finally:
        draft.discard()


def new_draft(order: Order, name: str) -> Draft:
    """Return an empty draft of the order."""
    return Draft(family_of(order.model), name=name, key_field=order.key_field, identity=order.identity())


def finished(order: Order, draft: Draft) -> Spooled:
    """Close the draft; raise ``BadSource`` when a row of it cannot be sent."""
    fingerprint = draft.close()
    new = _submission(order, SourceKind.SPOOL, source="", rows=draft.intake.rows, fingerprint=fingerprint)
    return Spooled(submission=new, draft=draft)


def _submission(
    order: Order, kind: SourceKind, *, source: str, rows: int | None, fingerprint: str
) -> NewSubmission:
    return NewSubmission(
        id=checked_submission_id(order.id) if order.id is not None else new_submission_id(),
        fingerprint=fingerprint,
        model=order.model,
        store=order.store,
        source_kind=kind,
        source=source,
        rows=rows,
        key_field=order.key_field,
        project=order.project,
        location=order.location,
        labels=order.labels,
    )
