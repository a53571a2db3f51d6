"""What a producer holds: enqueue, ask, wait, read results, cancel."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from vertexq.drafts import order_for_rows, rows_of, uris_of
from vertexq.errors import BadInput, NotDone, UnknownStore
from vertexq.messages import to_message, unrecorded
from vertexq.model import NewSubmission, Policy, Submission
from vertexq.names import TaskName
from vertexq.orders import Order, joined_stores
from vertexq.results import Outcome, QuarantinedLine, Result, outcomes_of
from vertexq.retry import look_wait_s
from vertexq.settings import NO_LEDGER, Settings
from vertexq.sources.template import Template
from vertexq.states import SUBMISSION_RESTING, SubmissionState
from vertexq.status import Status, status_of
from vertexq.terms import Deadline, terms_of

if TYPE_CHECKING:  # imported when they are first needed: a producer that only enqueues never loads the rest
    from vertexq.broker import CeleryHints
    from vertexq.endpoint_desk import EndpointDesk
    from vertexq.events import Event, EventStream
    from vertexq.ledger import Ledger
    from vertexq.prices import PriceBook
    from vertexq.recipients import Told
    from vertexq.stores.base import Store

Source = str | Path | Iterable[object]
"""A file, ``gs://`` URIs (one, or a list of them), a table, an open stream, a list of paths, or rows."""
TemplateSource = str | Path | Mapping[str, object]
"""A request with ``{{field}}``: as a mapping, as JSON, or the path of a file that holds it."""
NO_POLICY = Policy()
OnProgress = Callable[[Status], None]


class Client:
    """Enqueues submissions and reads their results.

    Without arguments everything comes from the environment (``config/example.env`` lists the variables); an
    argument wins over its variable. ``ledger_url="none"`` makes a client that needs nothing but the broker:
    it can only enqueue ``gs://`` and ``bq://`` sources. Connections are opened when they are first needed. A
    client may be used by several threads, and must be closed (it is a context manager).
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
        self._prices: PriceBook | None = None
        self._endpoints: EndpointDesk | None = None

    def submit(
        self,
        source: Source,
        *,
        model: str,
        store: str | Sequence[str],
        id: str | None = None,  # noqa: A002  (the word users know)
        key: str = "key",
        labels: Mapping[str, str] | None = None,
        project: str = "",
        location: str = "",
        policy: Policy = NO_POLICY,
        template: TemplateSource | None = None,
        priority: int = 0,
        budget_usd: float | str | None = None,
        deadline: Deadline | None = None,
        on_deadline: str = "report",
        tenant: str = "",
        on_complete: str = "",
        family: str = "",
        parameters: Mapping[str, Any] | None = None,
        destination: str = "",
        finish_online: int = 0,
        connection: object | None = None,
        on_rows: Callable[[int], None] | None = None,
    ) -> Submission:
        """Enqueue rows; return the submission as the ledger has it.

        ``source`` is a ``gs://`` URI (``*`` and ``**`` are wildcards) or a list of them, a table
        (``bq://project.dataset.table``), the path of a file (JSON Lines, CSV or Parquet, also ``.gz`` and
        ``.zst``) or a list of ``Path``, a binary stream of JSON Lines, or rows: texts (prompts) and
        mappings; ``docs/producing.md`` shows the forms. With ``template`` (a request with ``{{field}}``) rows
        are records that fill it. ``key`` names the field, or the column, that holds each row's key; a row
        without one is called by its number, from 0. The same ``id`` with the same content is
        the same submission, however often it is enqueued; with other content it is an ``IdConflict``.
        ``store`` names where results land: one store, or a list whose first one is read by ``results``.

        ``policy`` says what may be done about rows that Google would refuse. ``priority`` (-9 to 9),
        ``budget_usd``, ``deadline`` (seconds, a timedelta or ``"6h"``, from now) with ``on_deadline``
        (``report`` or ``rerun``) may be changed by enqueueing again. ``tenant`` sets the label by which slots
        are shared (``VERTEXQ_TENANT_LABEL``). ``on_complete`` is whom to tell when it has ended, or a person
        must decide: a Celery task of yours (``"app.tasks.done"``, ``"app.tasks.done@queue"``) or a webhook
        store (``"webhook:hook"``). With ``connection`` (psycopg, sqlite3, or a SQLAlchemy
        connection or session to the ledger's database) it exists if and only if the caller commits.
        ``on_rows`` hears now and then how many rows were read so far.

        ``family`` names the kind of model where its name does not (``docs/families.md``); ``parameters`` are
        what the model is told for all rows. Jobs write into Cloud Storage, or into tables of
        ``destination`` (``bq://project.dataset``). When fewer than ``finish_online`` rows are left, they are
        answered online.

        Raise ``BadSource`` when a row cannot be sent (all of them are named, nothing is enqueued),
        ``BadInput`` for options that do not fit together, ``UnknownModel``, ``UnknownStore``,
        ``Unreachable``.
        """
        stores = joined_stores(store)
        for name in stores.split(","):
            self._settings.check_store(name)
        self._settings.check_told(on_complete)
        order = Order(
            id=id, model=model, store=stores, key_field=key, labels=dict(labels or {}),
            project=project, location=location, policy=policy,
            template="" if template is None else _read_template(template).text,
            terms=terms_of(
                priority=priority, budget_usd=budget_usd, deadline=deadline, on_deadline=on_deadline,
                finish_online=finish_online,
            ),
            on_complete=on_complete, family=family, parameters=dict(parameters or {}),
            destination=destination,
        )  # fmt: skip
        order = order.with_options_form(self._settings.embedding_options)
        order = order.with_tenant(tenant, label=self._settings.tenant_label).checked()
        if uris := uris_of(source, order):
            return self._enqueue(order.for_uris(uris), (), connection)
        rows = rows_of(source)
        limit_bytes = self._settings.line_limit_bytes
        with order_for_rows(order, rows, line_limit_bytes=limit_bytes, on_rows=on_rows) as draft:
            return self._enqueue(self._priced(draft.submission), draft.chunks(), connection)

    @property
    def endpoints(self) -> EndpointDesk:
        """Endpoints that serve models online: ``docs/endpoints.md``."""
        if self._endpoints is None:
            from vertexq.endpoint_desk import EndpointDesk  # noqa: PLC0415

            self._endpoints = EndpointDesk(self._settings, self._need_ledger, self._need_hints)
        return self._endpoints

    def get(self, id: str) -> Status:  # noqa: A002
        """Return how a submission stands; raise ``UnknownSubmission``."""
        ledger = self._need_ledger()
        return self._status(ledger, ledger.submission(id), ledger.now())

    def list(self, *, states: Collection[SubmissionState] = (), limit: int = 100) -> list[Status]:
        """Return the newest submissions, the newest first."""
        ledger = self._need_ledger()
        found = ledger.submissions(states=states, limit=limit)
        now = ledger.now()
        return [self._status(ledger, one, now) for one in found]

    def wait(
        self,
        id: str,  # noqa: A002
        *,
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
        interval_s: float | None = None,
    ) -> Status:
        """Return when the submission has ended or is parked; call ``on_progress`` at every look.

        Without ``interval_s`` looks are 0.1 s apart at first and 2 s after a while (0.5 s with
        ``on_progress``); a look that nobody is told of reads one row of the ledger. Raise ``NotDone`` after
        ``timeout_s`` seconds; the submission goes on regardless.
        """
        began_s = time.monotonic()
        while True:
            if on_progress is not None:
                on_progress(self.get(id))
            if self._need_ledger().submission(id).state in SUBMISSION_RESTING:
                return self._rested(id, on_progress)
            age_s = time.monotonic() - began_s
            if timeout_s is not None and age_s >= timeout_s:
                raise _not_done(self.get(id), timeout_s)
            wait_s = interval_s or look_wait_s(age_s, longest_s=2.0 if on_progress is None else 0.5)
            time.sleep(wait_s if timeout_s is None else min(wait_s, timeout_s - age_s))

    def events(self, id: str, *, after: str = "", follow: bool = True) -> Iterator[Event]:  # noqa: A002
        """Yield what happens to a submission: moves of it and its batches, and rows that have landed.

        It begins at the beginning, or behind the event whose ``cursor`` is ``after``: no event is missed and
        none comes twice. It ends when nothing more happens by itself; the last event is then the one of that
        state. Without ``follow`` it ends with what has happened so far. Raise ``UnknownSubmission``.
        """
        stream, quiet_s = self.event_stream(id, after), 0.0
        while True:
            found = stream.look()
            yield from found
            if stream.ended or not (follow or stream.has_more):
                return
            if not stream.has_more:
                wait_s = look_wait_s(quiet_s)
                quiet_s = 0.0 if found else quiet_s + wait_s
                time.sleep(wait_s)

    def event_stream(self, id: str, after: str = "") -> EventStream:  # noqa: A002
        """Return the events of a submission for whoever does the waiting; ``events`` is the easy way."""
        from vertexq.events import EventStream  # noqa: PLC0415

        ledger = self._need_ledger()
        return EventStream(ledger, ledger.submission(id).id, after=after)

    def deliveries(self, id: str, *, again: bool = False) -> Sequence[Told]:  # noqa: A002
        """Return what webhooks and Celery tasks were told; ``again`` makes due what waits or was given up."""
        ledger = self._need_ledger()
        known = ledger.submission(id).id
        if again:
            ledger.deliver_again(known)
        return ledger.told(known)

    def _rested(self, id: str, on_progress: OnProgress | None) -> Status:  # noqa: A002
        """Return the last status, and show it to whoever watches."""
        status = self.get(id)
        if on_progress is not None:
            on_progress(status)
        return status

    def results(
        self,
        id: str,  # noqa: A002
        *,
        outcomes: Collection[Outcome] | None = None,
        store: str | None = None,
    ) -> Iterator[Result]:
        """Stream the results of a submission, also while it runs; rows come in no order.

        They are read from its first store, or from the one that ``store`` names.
        """
        with self._store(self._store_of(id, store)) as opened:
            yield from opened.results(id, outcomes=None if outcomes is None else outcomes_of(outcomes))

    def where(self, id: str) -> str:  # noqa: A002
        """Say where the results of a submission are stored, in the first of its stores."""
        with self._store(self._store_of(id, None)) as store:
            return store.location(id)

    def cancel(self, id: str) -> Status:  # noqa: A002
        """Ask to stop a submission: what was not sent is withdrawn, finished rows are kept and paid for."""
        ledger = self._need_ledger()
        submission = ledger.request_cancel(id)
        if submission.state is SubmissionState.CANCELLING:
            self._need_hints().send(TaskName.CANCEL, id)
        return self.get(id)

    def quarantine(self, id: str, *, store: str | None = None) -> Iterator[QuarantinedLine]:  # noqa: A002
        """Stream the lines of Google's output that are in no row; read as ``results`` are."""
        with self._store(self._store_of(id, store)) as opened:
            yield from opened.quarantine(id)

    def retry(
        self,
        id: str,  # noqa: A002
        *,
        outcomes: Collection[str],
        model: str | None = None,
    ) -> Status:
        """Have rows of a submission that has ended tried again: those with one of these outcomes.

        ``outcomes`` are of ``failed``, ``missing``, ``blocked`` and ``quarantined``; ``model`` is another one
        of the same family. When there are no such rows nothing happens: the status is that of the end. Rows
        of lost jobs, which may still run, and rows that were set aside by the check are never sent again.
        Raise ``NotDone`` while the submission has not come to its end, ``BadInput``, ``UnknownModel``.
        """
        from vertexq.by_hand import ask, wanted  # noqa: PLC0415

        if ask(self._need_ledger(), id, wanted(outcomes, model)):
            self._need_hints().send(TaskName.RERUN, id)
        return self.get(id)

    def close(self) -> None:
        """Close the connections. Safe to repeat."""
        if self._ledger is not None:
            self._ledger.close()
        if self._hints is not None:
            self._hints.close()
        if self._endpoints is not None:
            self._endpoints.close()
        self._ledger = self._hints = self._endpoints = None

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        self.close()

    def _status(self, ledger: Ledger, submission: Submission, now: datetime) -> Status:
        strays, told = len(ledger.strays(submission.id)), ledger.told(submission.id)
        most_rounds, batches = self._settings.retry_rounds, ledger.batches(submission.id)
        return status_of(submission, batches, strays=strays, now=now, most_rounds=most_rounds, told=told)

    def _priced(self, new: NewSubmission) -> NewSubmission:
        """Say what the rows may cost, by the prices of this process; a worker reckons with its own again."""
        from vertexq.money import priced  # noqa: PLC0415
        from vertexq.prices import PriceBook  # noqa: PLC0415

        if new.estimate is None:
            return new
        if self._prices is None:
            self._prices = PriceBook.open(self._settings.prices)
        today, assumed = datetime.now(UTC).date(), self._settings.assumed_output_tokens
        return replace(new, estimate=priced(new.estimate, new.model, today, self._prices, assumed))

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

    def _store_of(self, id: str, name: str | None) -> str:  # noqa: A002
        """Return the name of the store to read; raise ``UnknownStore`` for one that it does not land in."""
        stores = self._need_ledger().submission(id).stores
        if name is not None and name not in stores:
            raise UnknownStore(f"submission {id} does not land in {name!r}, but in {', '.join(stores)}")
        return name or stores[0]

    def _store(self, name: str) -> Store:
        from vertexq.stores import open_store  # noqa: PLC0415

        return open_store(self._settings.store_url(name), name=name, **self._settings.store_places)


def _not_done(status: Status, timeout_s: float) -> NotDone:
    return NotDone(
        f"submission {status.id} is still {status.state} after {timeout_s:g} s "
        f"({status.landed_rows:,} of {status.sent_rows:,} rows landed); it goes on, wait again"
    )


def _read_template(template: TemplateSource) -> Template:
    if not isinstance(template, Path):
        return Template.parse(template)
    try:
        return Template.parse(template.read_bytes())
    except OSError as error:
        raise BadInput(f"the template {template} cannot be read: {error.strerror}") from error
