"""A store's way to Google: an event loop and connections of its own, and Google's errors as a store's."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from vertexq.errors import ApiError, Refused, StoreRefused, Unreachable
from vertexq.google.auth import default_tokens
from vertexq.google.rest import Transport

T = TypeVar("T")

QUOTA = "quotaExceeded"
"""BigQuery's word for a quota that is used up: it passes, although the answer is a 403."""


class GoogleLoop:
    """Runs asynchronous calls. Use it from one thread at a time, one without an event loop."""

    def __init__(self, *, emulator: bool) -> None:
        self._emulator = emulator
        self._runner: asyncio.Runner | None = None
        self._transport: Transport | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether something was run since it was made or closed."""
        return self._runner is not None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` to its end; raise ``StoreRefused`` or ``Unreachable`` for what Google says."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        with _translated():
            return self._runner.run(work)

    async def transport(self) -> Transport:
        """Return the connections; an emulator gets no credentials."""
        if self._transport is None:
            self._transport = Transport(await default_tokens(emulator=self._emulator))
        return self._transport

    def close(self) -> None:
        """Close the connections and the event loop. Safe to repeat."""
        runner, self._runner = self._runner, None
        transport, self._transport = self._transport, None
        if runner is not None:
            if transport is not None:
                runner.run(transport.aclose())
            runner.close()


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except Refused as error:
        if error.code == QUOTA:
            raise Unreachable(f"{error}; tried again later") from error
        raise StoreRefused(str(error)) from error
    except ApiError as error:
        raise Unreachable(str(error)) from error
