"""What a producer holds: enqueue, ask, wait, read results, cancel."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

from vertexq.drafts import Order, order_for_object, order_for_rows
from vertexq.errors import BadInput, NotDone
from vertexq.messages import to_message, unrecorded
from vertexq.model import NewSubmission, Submission
from vertexq.names import TaskName
from vertexq.results import Outcome, Result
from vertexq.settings import NO_LEDGER, Settings
from vertexq.states import SubmissionState
from vertexq.status import Status, status_of

if TYPE_CHECKING:  # imported when they are first needed: a producer that only enqueues never loads the rest
    from vertexq.broker import CeleryHints
    from vertexq.ledger import Ledger
    from vertexq.stores.base import Store

Source = str | Path | Iterable[object]
OnProgress = Callable[[Status], None]


class Client:
    """Enqueues submissions and reads their results.

    Without arguments everything comes from the environment (``config/example.env`` lists the variables); an
    argument wins over its variable. ``ledger_url="none"`` makes a client that needs nothing but the broker:
    it can only enqueue ``gs://`` sources. Connections are opened when they are first needed. A client may be
    used by several threads, and must be closed (it is a context manager).
    """

    def __init__(
        self,
        *,
        ledger_url: str | None = None,
        broker_url: str | None = None,
        stores: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = Settings.for_producer(
            environ, ledger_url=ledger_url, broker_url=broker_url, stores=stores
        )
        self._ledger: Ledger | None = None
        self._hints: CeleryHints | None = None

    def submit(
        self,
        source: Source,
        *,
        model: str,
        store: str,
        id: str | None = None,  # noqa: A002  (the word users know)
        key: str = "key",
        labels: Mapping[str, str] | None = None,
        project: str = "",
        location: str = "",
        connection: object | None = None,
    ) -> Submission:
        """Enqueue rows; return the submission as the ledger has it.

        ``source`` is a ``gs://`` URI, the path of a JSON Lines file or a binary stream of such lines, or
        rows: texts (prompts) and mappings; ``docs/producing.md`` shows the forms. ``key`` names the field
        that holds each row's key; a row without one is called by its number, from 0. The same ``id`` with
        the same content is the same submission, however often it is enqueued; with other content it is an
        ``IdConflict``. With ``connection`` (psycopg, sqlite3, or a SQLAlchemy connection or session to the
        ledger's database) the submission exists if and only if the caller commits.

        Raise ``BadSource`` when a row cannot be sent (all of them are named, nothing is enqueued),
        ``UnknownModel``, ``UnknownStore``, ``Unreachable``.
        """
        self._settings.check_store(store)
        order = Order(
            id=id, model=model, store=store, key_field=key, labels=dict(labels or {}),
            project=project, location=location,
        ).checked()  # fmt: skip
        if isinstance(source, str) and source.startswith("gs://"):
            return self._enqueue(order_for_object(order, source), (), connection)
        if isinstance(source, Mapping | bytes | None):
            kind = type(cast("object", source)).__name__
            raise BadInput(f"rows must come as an iterable of texts or mappings, not as one {kind}")
        with order_for_rows(order, source, line_limit_bytes=self._settings.line_limit_bytes) as draft:
            return self._enqueue(draft.submission, draft.chunks(), connection)

    def get(self, id: str) -> Status:  # noqa: A002
        """Return how a submission stands; raise ``UnknownSubmission``."""
        ledger = self._need_ledger()
        return status_of(ledger.submission(id), ledger.batches(id), strays=len(ledger.strays(id)))

    def list(self, *, states: Collection[SubmissionState] = (), limit: int = 100) -> list[Status]:
        """Return the newest submissions, the newest first."""
        ledger = self._need_ledger()
        found = ledger.submissions(states=states, limit=limit)
        return [status_of(one, ledger.batches(one.id), strays=len(ledger.strays(one.id))) for one in found]

    def wait(
        self,
        id: str,  # noqa: A002
        *,
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
        interval_s: float = 0.5,
    ) -> Status:
        """Return when the submission has ended or is parked; call ``on_progress`` at every look.

        Raise ``NotDone`` after ``timeout_s`` seconds; the submission goes on regardless.
        """
        ends_at = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            status = self.get(id)
            if on_progress is not None:
                on_progress(status)
            if status.resting:
                return status
            if ends_at is not None and time.monotonic() >= ends_at:
                raise NotDone(
                    f"submission {id} is still {status.state} after {timeout_s:g} s "
                    f"({status.landed_rows:,} of {status.sent_rows:,} rows landed); it goes on, wait again"
                )
            time.sleep(interval_s)

    def results(self, id: str, *, outcomes: Collection[Outcome] | None = None) -> Iterator[Result]:  # noqa: A002
        """Stream the results of a submission from its store, also while it runs; rows come in no order."""
        submission = self._need_ledger().submission(id)
        store = self._open_store(submission.store)
        try:
            yield from store.results(id, outcomes=None if outcomes is None else frozenset(outcomes))
        finally:
            store.close()

    def where(self, id: str) -> str:  # noqa: A002
        """Say where the results of a submission are stored."""
        store = self._open_store(self._need_ledger().submission(id).store)
        try:
            return store.location(id)
        finally:
            store.close()

    def cancel(self, id: str) -> Status:  # noqa: A002
        """Ask to stop a submission: what was not sent is withdrawn, finished rows are kept and paid for."""
        ledger = self._need_ledger()
        submission = ledger.request_cancel(id)
        if submission.state is SubmissionState.CANCELLING:
            self._need_hints().send(TaskName.CANCEL, id)
        return self.get(id)

    def close(self) -> None:
        """Close the connections. Safe to repeat."""
        if self._ledger is not None:
            self._ledger.close()
        if self._hints is not None:
            self._hints.close()
        self._ledger = self._hints = None

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        self.close()

    def _enqueue(self, new: NewSubmission, chunks: Iterable[bytes], connection: object | None) -> Submission:
        if self._settings.ledger_url == NO_LEDGER:
            return self._send_through_broker(new)
        submission, _created = self._need_ledger().enqueue(new, chunks, connection=connection)
        if connection is None:  # otherwise the sweeper finds it once the caller has committed
            self._need_hints().send(TaskName.STAGE, submission.id)
        return submission

    def _send_through_broker(self, new: NewSubmission) -> Submission:
        self._need_hints().send_or_raise(TaskName.ENQUEUE, to_message(new))
        return unrecorded(new, datetime.now(UTC))

    def _need_ledger(self) -> Ledger:
        if self._settings.ledger_url == NO_LEDGER:
            raise BadInput(
                "this client has no ledger and can only enqueue; "
                "set VERTEXQ_LEDGER_URL to ask for state and results"
            )
        if self._ledger is None:
            from vertexq.ledger import Ledger  # noqa: PLC0415

            self._ledger = Ledger.open(self._settings.ledger_url)
        return self._ledger

    def _need_hints(self) -> CeleryHints:
        if self._hints is None:
            from vertexq.broker import CeleryHints, producer_app  # noqa: PLC0415

            self._hints = CeleryHints(producer_app(self._settings.broker_url))
        return self._hints

    def _open_store(self, name: str) -> Store:
        from vertexq.stores import open_store  # noqa: PLC0415

        url = self._settings.store_url(name)
        store = open_store(url, storage_endpoint=self._settings.storage_endpoint)
        store.prepare()
        return store
