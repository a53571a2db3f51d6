"""What a producer does with endpoints: orders that workers carry out, and questions to Google."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vertexq.connection import Connection
from vertexq.endpoint_orders import check_place, checked, to_message, with_model_id
from vertexq.endpoints import (
    Endpoint,
    EndpointOrder,
    Operation,
    OperationKind,
    OperationState,
    Resources,
    endpoint_place,
)
from vertexq.errors import BadInput, NotDone
from vertexq.families.online import Verb
from vertexq.ids import checked_submission_id, new_operation_id
from vertexq.names import TaskName
from vertexq.predictions import Prediction, prediction_from
from vertexq.retry import look_wait_s
from vertexq.settings import NO_LEDGER, Settings

if TYPE_CHECKING:
    from vertexq.broker import CeleryHints
    from vertexq.google.rest import Transport
    from vertexq.ledger import Ledger
    from vertexq.prices import PriceBook
    from vertexq.results import Result

PRODUCER = "producer"
ON_ONE_MACHINE = Resources()
OnOperation = Callable[[Operation], None]


class EndpointDesk:
    """Endpoints, as ``client.endpoints``. ``create``, ``deploy``, ``undeploy`` and ``delete`` are orders.

    An order is checked, written into the ledger and carried out by workers; it returns at once, and ``wait``
    follows it. ``list``, ``get``, ``predict``, ``generate`` and ``embed`` ask Google from here, with this
    process's credentials.
    """

    def __init__(
        self, settings: Settings, ledger: Callable[[], Ledger], hints: Callable[[], CeleryHints]
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._hints = hints
        self._google = Connection(settings)
        self._prices: PriceBook | None = None
        self._hosts: dict[str, str] = {}  # of dedicated endpoints; empty: the shared one

    def create(
        self,
        endpoint: str,
        *,
        display_name: str = "",
        labels: Mapping[str, str] | None = None,
        dedicated: bool = False,
        project: str = "",
        location: str = "",
        id: str | None = None,  # noqa: A002  (the word users know)
    ) -> Operation:
        """Order a new endpoint with this id; one of the same id and name that is there already will do.

        ``endpoint`` is an id: 1 to 63 letters (lower case), digits and ``-`` that begin with a letter, or up
        to 9 digits. A ``dedicated`` endpoint has a host of its own. ``id`` is the operation's: the same order
        with the same id is the same operation. Raise ``BadInput``.
        """
        return self._order(
            id,
            EndpointOrder(
                kind=OperationKind.CREATE, endpoint=endpoint, display_name=display_name,
                labels=dict(labels or {}), dedicated=dedicated, project=project, location=location,
            ),
        )  # fmt: skip

    def deploy(
        self,
        endpoint: str,
        model: str,
        *,
        display_name: str = "",
        resources: Resources = ON_ONE_MACHINE,
        traffic: Mapping[str, int] | None = None,
        deployed_model_id: str = "",
        project: str = "",
        location: str = "",
        id: str | None = None,  # noqa: A002
    ) -> Operation:
        """Order a model of yours to be deployed; its id there is ``deployed_model_id`` of what is returned.

        ``traffic`` is the split afterwards, in per cent by deployed model, ``"0"`` for the new one, and sums
        to 100. Without it a first model gets everything and another one nothing. Raise ``BadInput``.
        """
        return self._order(
            id,
            EndpointOrder(
                kind=OperationKind.DEPLOY, endpoint=endpoint, model=model, display_name=display_name,
                resources=resources, traffic=dict(traffic or {}), deployed_model_id=deployed_model_id,
                project=project, location=location,
            ),
        )  # fmt: skip

    def undeploy(
        self,
        endpoint: str,
        deployed_model_id: str,
        *,
        traffic: Mapping[str, int] | None = None,
        project: str = "",
        location: str = "",
        id: str | None = None,  # noqa: A002
    ) -> Operation:
        """Order a model to be taken off; ``traffic`` is the split of the others, when it got requests."""
        return self._order(
            id,
            EndpointOrder(
                kind=OperationKind.UNDEPLOY, endpoint=endpoint, deployed_model_id=deployed_model_id,
                traffic=dict(traffic or {}), project=project, location=location,
            ),
        )  # fmt: skip

    def delete(
        self,
        endpoint: str,
        *,
        force: bool = False,
        project: str = "",
        location: str = "",
        id: str | None = None,  # noqa: A002
    ) -> Operation:
        """Order an endpoint to be deleted; with ``force`` what is deployed on it is undeployed first."""
        return self._order(
            id,
            EndpointOrder(
                kind=OperationKind.DELETE, endpoint=endpoint, force=force, project=project, location=location
            ),
        )

    def operation(self, id: str) -> Operation:  # noqa: A002
        """Return how an order stands; raise ``UnknownOperation``."""
        return self._ledger().operation(id)

    def operations(
        self, *, states: Collection[OperationState] = (), endpoint: str = "", limit: int = 100
    ) -> list[Operation]:
        """Return the newest orders, the newest first."""
        return self._ledger().operations(
            states=states, endpoint=endpoint_place(endpoint)[2] if endpoint else "", limit=limit
        )

    def wait(
        self,
        id: str,  # noqa: A002
        *,
        timeout_s: float | None = None,
        on_progress: OnOperation | None = None,
    ) -> Operation:
        """Return an operation when it is done or has failed; call ``on_progress`` at every look.

        Raise ``NotDone`` after ``timeout_s`` seconds; the operation goes on regardless.
        """
        began_s = time.monotonic()
        while True:
            operation = self.operation(id)
            if on_progress is not None:
                on_progress(operation)
            if operation.resting:
                return operation
            age_s = time.monotonic() - began_s
            if timeout_s is not None and age_s >= timeout_s:
                raise NotDone(
                    f"operation {id} is still {operation.state} after {timeout_s:g} s; it goes on, wait again"
                )
            wait_s = look_wait_s(age_s, longest_s=1.0)
            time.sleep(wait_s if timeout_s is None else min(wait_s, timeout_s - age_s))

    def list(self, *, display_name: str = "", project: str = "", location: str = "") -> list[Endpoint]:
        """Return the endpoints of a place, those of one display name when it is given."""
        from vertexq.google.endpoints import Endpoints, named  # noqa: PLC0415

        at, place = self._place(project, location)

        async def ask(transport: Transport) -> list[Endpoint]:
            google = Endpoints(transport, endpoint=self._settings.vertex_endpoint)
            query = named(display_name) if display_name else ""
            return [one async for one in google.list(at, place, filter=query)]

        return self._google.run(ask)

    def get(self, endpoint: str, *, project: str = "", location: str = "") -> Endpoint:
        """Return an endpoint as Google has it; raise ``NotFound``."""
        from vertexq.google.endpoints import Endpoints  # noqa: PLC0415

        name = self._name(endpoint, project, location)

        async def ask(transport: Transport) -> Endpoint:
            return await Endpoints(transport, endpoint=self._settings.vertex_endpoint).get(name)

        return self._google.run(ask)

    def predict(
        self,
        endpoint: str,
        instances: Sequence[object],
        *,
        parameters: Mapping[str, object] | None = None,
        project: str = "",
        location: str = "",
    ) -> Prediction:
        """Have an endpoint answer instances at once, in their order; images are ``predictions.image(…)``.

        Raise ``BadInput`` when the request would be longer than Google takes (1.5 MB): nothing is sent then.
        """
        from vertexq.google.endpoints import Endpoints  # noqa: PLC0415
        from vertexq.google.online import Online, predict_body  # noqa: PLC0415

        name = self._name(endpoint, project, location)
        predict_body(instances, parameters)  # too long is said before anything is sent
        base = self._settings.vertex_endpoint

        async def ask(transport: Transport) -> Prediction:
            host = self._hosts.get(name)
            if host is None:
                host = (await Endpoints(transport, endpoint=base).get(name)).dedicated_dns
                self._hosts[name] = host
            online = Online(transport, endpoint=base)
            said = (
                await online.predict(
                    name,
                    instances,
                    parameters,
                    dedicated_dns=host,
                    deadline_s=self._settings.request_deadline_s,
                )
            ).body
            return prediction_from(said)

        return self._google.run(ask)

    def generate(
        self,
        model: str,
        row: str | Mapping[str, Any],
        *,
        family: str = "",
        parameters: Mapping[str, Any] | None = None,
        project: str = "",
        location: str = "",
    ) -> Result:
        """Have a Gemini model answer one row at once, in any form that a submission takes.

        ``model`` is a publisher's, or the full name of the endpoint that serves a tuned one. The result is
        what a batch would have given, at the online price. Raise ``BadInput`` for a row or a model that
        cannot be asked (nothing is sent then), ``Refused`` when nobody may call, ``Unreachable``.
        """
        return self._asked((Verb.GENERATE,), model, row, family, parameters, project, location)

    def embed(
        self,
        model: str,
        row: str | Mapping[str, Any],
        *,
        family: str = "",
        parameters: Mapping[str, Any] | None = None,
        project: str = "",
        location: str = "",
    ) -> Result:
        """Have an embedding model embed one row at once; see ``generate``."""
        return self._asked((Verb.EMBED, Verb.PREDICT), model, row, family, parameters, project, location)

    def _asked(
        self,
        verbs: tuple[Verb, ...],
        model: str,
        row: str | Mapping[str, Any],
        family: str,
        parameters: Mapping[str, Any] | None,
        project: str,
        location: str,
    ) -> Result:
        from vertexq.google.online import DEADLINE_S  # noqa: PLC0415
        from vertexq.prices import PriceBook  # noqa: PLC0415
        from vertexq.questions import Question, ask  # noqa: PLC0415

        at = project or self._settings.project
        question = Question(
            model=model, row=row, verbs=frozenset(verbs), family=family, parameters=dict(parameters or {}),
            project=at, location=location or self._settings.location,
        )  # fmt: skip
        if self._prices is None:
            self._prices = PriceBook.open(self._settings.prices)
        prices, base = self._prices, self._settings.vertex_endpoint
        return self._google.run(
            lambda transport: ask(transport, question, endpoint=base, deadline_s=DEADLINE_S, prices=prices)
        )

    def close(self) -> None:
        """Close the connections. Safe to repeat."""
        self._google.close()

    def _order(self, operation_id: str | None, order: EndpointOrder) -> Operation:
        name = new_operation_id() if operation_id is None else checked_submission_id(operation_id)
        good = with_model_id(checked(order), name)
        if self._settings.ledger_url == NO_LEDGER:
            self._hints().send_or_raise(TaskName.ORDER, to_message(name, good))
            return _unrecorded(name, good)
        operation, _ = self._ledger().order(name, good, actor=PRODUCER)
        self._hints().send(TaskName.OPERATE, operation.id)
        return operation

    def _place(self, project: str, location: str) -> tuple[str, str]:
        at, place = project or self._settings.project, location or self._settings.location
        if not at:
            raise BadInput("no project is named: set GOOGLE_CLOUD_PROJECT, or name one")
        check_place(place)
        return at, place

    def _name(self, endpoint: str, project: str, location: str) -> str:
        at, place, known = endpoint_place(endpoint)
        at, place = self._place(project or at, location or place)
        return f"projects/{at}/locations/{place}/endpoints/{known}"


def _unrecorded(operation_id: str, order: EndpointOrder) -> Operation:
    """Return an operation that is on its way to the ledger."""
    now = datetime.now(UTC)
    return Operation(
        id=operation_id, kind=order.kind, state=OperationState.QUEUED, version=1, order=order,
        project=order.project, location=order.location, endpoint=order.endpoint, call="", google_name="",
        stage="", looks=0, reason="", created_at=now, updated_at=now, sent_at=None, finished_at=None,
        next_action_at=now, attempts=0, fence=0,
    )  # fmt: skip
