"""Vertex AI's online side over REST: one request, one answer, paid for at once.

Methods and fields: the aiplatform v1 discovery document (revision 20261106).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from vertexq.errors import BadInput
from vertexq.google.hosts import base_url
from vertexq.google.messages import mapping, model_name, parent
from vertexq.google.rest import Transport
from vertexq.predictions import REQUEST_LIMIT_BYTES

DEADLINE_S = 300.0
"""How long a call may take with all its waits: a model that thinks is silent for minutes."""

_PLACE = re.compile(
    r"projects/[^/\s?#]+/locations/([a-z][a-z0-9-]*)/(?:publishers/[\w.-]+/models/[\w.@-]+|endpoints/[\w-]+)"
)
_DEDICATED = ".prediction.vertexai.goog"
_SHORT_NAME = re.compile(r"publishers/[\w.-]+/models/[\w.@-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineAnswer:
    """What Google answered, and after how many requests: each of them may have been paid for."""

    body: Mapping[str, object]
    tries: int = 1


class Online:
    """Models and endpoints that answer at once. ``endpoint`` is a base URL for all locations (an emulator).

    A name is in full: ``projects/P/locations/L/publishers/google/models/M`` or
    ``projects/P/locations/L/endpoints/E``. Google asks to try 408, 429 and 5xx again, with waits that grow;
    an answer that was lost may have been paid for, so a call is repeated at most twice. All raise the
    ``ApiError`` of the last answer, ``Unreachable`` when nothing was sent, and ``BadInput`` for a name or a
    body that cannot be sent.
    """

    def __init__(self, transport: Transport, *, endpoint: str = "") -> None:
        self._transport = transport
        self._endpoint = endpoint
        if endpoint:
            transport.trust(base_url("global", endpoint))

    async def predict(
        self,
        name: str,
        instances: Sequence[object],
        parameters: Mapping[str, object] | None = None,
        *,
        deadline_s: float = DEADLINE_S,
        dedicated_dns: str = "",
    ) -> OnlineAnswer:
        """Ask for predictions; ``predictions`` of the answer are in the order of ``instances``.

        A dedicated endpoint is asked at its ``dedicated_dns``, where Google says that it is called. Raise
        ``BadInput`` when instances and parameters are longer than 1.5 MB together.
        """
        body = predict_body(instances, parameters)
        return await self._call(name, "predict", body, deadline_s, host=dedicated_dns)

    async def generate(
        self,
        name: str,
        request: Mapping[str, object],
        *,
        deadline_s: float = DEADLINE_S,
        dedicated_dns: str = "",
    ) -> OnlineAnswer:
        """Return the ``GenerateContentResponse`` to a ``GenerateContentRequest``."""
        body = orjson.dumps(request)
        return await self._call(name, "generateContent", body, deadline_s, host=dedicated_dns)

    async def embed(
        self, name: str, request: Mapping[str, object], *, deadline_s: float = DEADLINE_S
    ) -> OnlineAnswer:
        """Return the ``EmbedContentResponse`` to an ``EmbedContentRequest``."""
        return await self._call(name, "embedContent", orjson.dumps(request), deadline_s)

    async def _call(
        self, name: str, verb: str, body: bytes, deadline_s: float, *, host: str = ""
    ) -> OnlineAnswer:
        base = self._dedicated(host) if host else base_url(_location(name), self._endpoint)
        url = f"{base}/v1/{name}:{verb}"
        answer = await self._transport.call(
            "POST",
            url,
            data=body,
            headers={"Content-Type": "application/json; charset=UTF-8"},
            deadline_s=deadline_s,
            retry=True,
            paid=True,
        )
        return OnlineAnswer(body=mapping(answer.json()), tries=answer.tries)

    def _dedicated(self, host: str) -> str:
        """Return the base URL of a dedicated endpoint, and let the token go there: a host of Google's."""
        if self._endpoint:
            base = f"{urlsplit(base_url('global', self._endpoint)).scheme}://{host}"
        elif host.endswith(_DEDICATED):
            base = f"https://{host}"
        else:
            raise BadInput(f"the endpoint's own host {host[:200]!r} is none of Google's ({_DEDICATED})")
        self._transport.trust(base)
        return base


def predict_body(instances: Sequence[object], parameters: Mapping[str, object] | None = None) -> bytes:
    """Return the body of ``:predict``; raise ``BadInput`` when it is longer than 1.5 MB."""
    body = orjson.dumps({"instances": list(instances), **({"parameters": parameters} if parameters else {})})
    if len(body) > REQUEST_LIMIT_BYTES:
        raise BadInput(
            f"the instances take {len(body):,} bytes, and a prediction takes at most "
            f"{REQUEST_LIMIT_BYTES:,} (Google's limit); send fewer or smaller ones"
        )
    return body


def online_name(project: str, location: str, model: str) -> str:
    """Return the full name of a publisher's model in a place; an endpoint's full name as it is.

    Raise ``BadInput`` for what cannot be asked online, such as a model without an endpoint.
    """
    name = model_name(model)
    found = _SHORT_NAME.fullmatch(name)
    full = f"{parent(project, location)}/{name}" if found else name
    _location(full)
    return full


def _location(name: str) -> str:
    found = _PLACE.fullmatch(name)
    if found is None:
        raise BadInput(
            f"{name[:200]!r} answers no online calls; name a publisher's model, or an endpoint in full "
            "(projects/P/locations/L/endpoints/E)"
        )
    return found[1]
