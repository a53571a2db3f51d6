"""A webhook as a store: rows become messages in the ledger's outbox, which workers deliver.

``webhook+https://hooks.example.com/vertexq?secret_env=HOOK_SECRET``. The commit is the ledger's: messages and
the range's position are one transaction. A message keeps its id through every try, so that a receiver that
remembers ids sees each one once. Nothing is kept here once it is delivered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from vertexq.errors import BadInput, BadSettings
from vertexq.ledger import Ledger, NewDelivery, OutboxRange
from vertexq.ledger.announcements import message_id
from vertexq.recipients import Recipient, Way
from vertexq.results import Chunk, Outcome, Progress, QuarantinedLine, Result, SourceRange
from vertexq.stores.base import Committed, RowsRefused, Store, admit
from vertexq.webhooks.address import webhook_of
from vertexq.webhooks.messages import messages_of


class WebhookStore(Store):
    """Posts rows to an address; it can be written and not read. ``name`` is what the environment calls it."""

    takes_ledger = True

    def __init__(self, url: str, *, ledger_url: str = "", name: str = "") -> None:
        super().__init__(url)
        self._webhook = webhook_of(url)
        if not ledger_url:
            raise BadSettings("a webhook store keeps its outbox in the ledger; set VERTEXQ_LEDGER_URL")
        self._ledger_url = ledger_url
        self._name = name
        self._ledger: Ledger | None = None

    def __repr__(self) -> str:
        """Name the host only: the path may be a secret."""
        return f"<WebhookStore {self._name} at {self._webhook.host}>"

    def prepare(self) -> None:
        """Open the ledger that holds the outbox."""
        self._opened()

    def close(self) -> None:
        """Close the ledger."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def location(self, submission_id: str) -> str:
        """Name the receiver's host."""
        return f"webhook {self._name} at {self._webhook.host} ({submission_id})"

    def results(self, submission_id: str, *, outcomes: frozenset[Outcome] | None = None) -> Iterator[Result]:
        """Raise ``BadInput``: a webhook keeps nothing."""
        del outcomes
        self._keeps_nothing(submission_id)

    def quarantine(self, submission_id: str) -> Iterator[QuarantinedLine]:
        """Raise ``BadInput``: a webhook keeps nothing."""
        self._keeps_nothing(submission_id)

    def _keeps_nothing(self, submission_id: str) -> NoReturn:
        raise BadInput(
            f"the webhook store {self._name} at {self._webhook.host} keeps no results; ask its receiver for "
            f"those of {submission_id}, or name a second store beside it to read them from"
        )

    def _opened(self) -> Ledger:
        if self._ledger is None:
            self._ledger = Ledger.open(self._ledger_url)
        return self._ledger

    def _committed(self, source: SourceRange) -> Committed | None:
        return _committed(self._opened().outbox_range(self._name, source.id))

    def _write(self, chunk: Chunk, *, fence: int) -> None:
        after = OutboxRange(position=chunk.progress.position, fence=fence, state=chunk.progress.state)
        self._opened().post(
            self._name,
            chunk.source,
            after,
            self._messages(chunk),
            admit=lambda known: admit(chunk, _committed(known), fence=fence),
        )

    def _messages(self, chunk: Chunk) -> list[NewDelivery]:
        """Return a chunk's messages; an id is made of store, range, the chunk's start and a number."""
        target = Recipient(way=Way.WEBHOOK, name=self._name).target
        parts = (self._name, chunk.source.id, str(chunk.start))
        try:
            return [
                NewDelivery(
                    id=message_id(*parts, str(number)),
                    kind=kind,
                    target=target,
                    submission_id=chunk.source.submission_id,
                    body=body,
                )
                for number, (kind, body) in enumerate(messages_of(chunk))
            ]
        except TypeError as error:  # a lone surrogate, or an integer of more than 64 bits
            raise RowsRefused("JSON cannot hold a row of this chunk") from error


def _committed(known: OutboxRange | None) -> Committed | None:
    if known is None:
        return None
    return Committed(Progress(position=known.position, state=known.state), known.fence)
