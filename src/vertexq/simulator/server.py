"""The simulator: one HTTP server on one port with the surfaces of Google that vertexq uses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from weakref import WeakSet

from aiohttp import web

from vertexq.errors import NotFound, Unreachable
from vertexq.simulator._admin import admin_routes
from vertexq.simulator.access import Access
from vertexq.simulator.behaviour import Behaviour, Behaviours
from vertexq.simulator.bigquery.surface import BigQuerySurface
from vertexq.simulator.creates import AcceptedCreate
from vertexq.simulator.exchanges import Exchange
from vertexq.simulator.faults import Faults
from vertexq.simulator.storage.surface import StorageSurface
from vertexq.simulator.timing import Timing
from vertexq.simulator.vertex.endpoint_book import EndpointOperation
from vertexq.simulator.vertex.models import Models
from vertexq.simulator.vertex.predict import OnlineCall
from vertexq.simulator.vertex.surface import VertexSurface
from vertexq.simulator.vertex.turns import Overlap

_BODY_LIMIT_BYTES = 64 * 1024 * 1024  # of bodies that are read whole; objects are streamed past it
_SETTLE_S = 0.01  # in which asyncio does what it has put off: connections made, connections closed
_GRACE_S = 0.3  # how long a stop waits for requests that are being answered


class Surface(Protocol):
    """One of Google's services: its routes, and what runs behind them."""

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the routes."""
        ...

    async def start(self) -> None:
        """Make ready to answer."""
        ...

    async def stop(self) -> None:
        """Let go of everything."""
        ...


class Simulator:
    """Google on localhost. ``port`` 0 takes a free one; without a ``data_dir`` nothing outlives ``stop``.

    ``seed`` decides everything that is left to chance. ``buckets`` are there from the start. ``timing`` says
    how long jobs take, ``behaviour`` what becomes of them; ``behaviours`` changes that at run time,
    ``access`` says who may use the buckets, ``models`` which models there are. With a ``required_token``
    calls that do not bear it are refused (401). ``record_exchanges`` keeps every request
    to Vertex AI and its answer.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        timing: Timing | None = None,
        behaviour: Behaviour | None = None,
        faults: Faults | None = None,
        data_dir: Path | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
        buckets: Iterable[str] = (),
        required_token: str = "",
        record_exchanges: bool = False,
    ) -> None:
        self.faults = faults or Faults(seed=seed)
        self.behaviours = Behaviours(behaviour)
        self.access = Access()
        self.models = Models()
        self._seed = seed
        self._timing = timing or Timing()
        self._record_exchanges = record_exchanges
        self._vertex: VertexSurface | None = None
        self._data_dir = data_dir
        self._port = port
        self._host = host
        self._buckets = tuple(buckets)
        self._required_token = required_token
        self._running = contextlib.AsyncExitStack()
        self._connections: WeakSet[asyncio.WriteTransport] = WeakSet()
        self._url = ""
        self.home = data_dir or Path()

    @property
    def url(self) -> str:
        """The base URL, such as ``http://127.0.0.1:8090``; empty before the first start."""
        return self._url

    @property
    def accepted(self) -> list[AcceptedCreate]:
        """The oracle: every create that was accepted, oldest first; kept after ``stop``."""
        return self._vertex.accepted if self._vertex else []

    @property
    def endpoint_operations(self) -> list[EndpointOperation]:
        """The oracle of endpoints: every operation on them that was accepted, oldest first."""
        return list(self._vertex.endpoints) if self._vertex else []

    @property
    def online_calls(self) -> list[OnlineCall]:
        """The oracle of online calls: every one that was answered, oldest first; kept after ``stop``."""
        return self._vertex.online_calls if self._vertex else []

    @property
    def overlaps(self) -> list[Overlap]:
        """The oracle of jobs that were to run while too many others of their kind ran, oldest first."""
        return self._vertex.overlaps if self._vertex else []

    @property
    def exchanges(self) -> list[Exchange]:
        """Requests to Vertex AI and their answers, oldest first, when they are recorded."""
        return self._vertex.exchanges if self._vertex else []

    def create_again(self, display_name: str) -> str:
        """Accept the newest create of a display name once more; return the new job's name.

        It is the duplicate that nobody asked for. Call it on the simulator's loop (from elsewhere: POST
        ``{"display_name": …}`` to ``/_simulator/creates``). Raise ``NotFound``.
        """
        if self._vertex is None:
            raise NotFound("the simulator was never started", status=404)
        return self._vertex.again(display_name)

    async def start(self) -> None:
        """Listen and answer; raise ``Unreachable`` when the port is taken."""
        async with contextlib.AsyncExitStack() as stack:
            listening = _listen(self._host, self._port)
            stack.callback(listening.close)
            listening.listen()  # calls wait from here on, such as those of jobs that begin again
            self._url = f"http://{_named(self._host)}:{listening.getsockname()[1]}"
            self.home = self._data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            app = web.Application(client_max_size=_BODY_LIMIT_BYTES, middlewares=[self._remember])
            app.router.add_routes(admin_routes(self.faults, self.access))
            surfaces = self._surfaces()
            for surface in surfaces:
                app.router.add_routes(surface.routes())
            runner = web.AppRunner(
                app,
                access_log=None,
                auto_decompress=False,
                shutdown_timeout=_GRACE_S,
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            for surface in surfaces:
                stack.push_async_callback(surface.stop)
                await surface.start()
            site = web.SockSite(runner, listening)
            await site.start()
            stack.push_async_callback(_close_door, site, listening)
            self._running = stack.pop_all()

    async def stop(self) -> None:
        """Stop listening, end what is being answered, close every file. Safe to repeat."""
        await self._running.aclose()
        for connection in self._connections:
            connection.abort()  # with a caller who stopped reading, a close would wait for ever
        await asyncio.sleep(_SETTLE_S)

    @web.middleware
    async def _remember(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.transport is not None:
            self._connections.add(request.transport)
        return await handler(request)

    def _surfaces(self) -> list[Surface]:
        storage = StorageSurface(
            home=self.home / "storage",
            faults=self.faults,
            required_token=self._required_token,
            buckets=self._buckets,
            access=self.access,
        )
        self._vertex = VertexSurface(
            faults=self.faults,
            storage_url=self._url,
            seed=self._seed,
            timing=self._timing,
            behaviours=self.behaviours,
            home=self._data_dir,
            required_token=self._required_token,
            record_exchanges=self._record_exchanges,
            access=self.access,
            models=self.models,
        )
        bigquery = BigQuerySurface(
            home=self.home / "bigquery",
            faults=self.faults,
            storage_url=self._url,
            required_token=self._required_token,
        )
        return [storage, self._vertex, bigquery]

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()


async def _close_door(site: web.SockSite, listening: socket.socket) -> None:
    """Stop listening, but not while a caller is in the door: up to Python 3.11 its socket would leak."""
    asyncio.get_running_loop().remove_reader(listening)
    await asyncio.sleep(_SETTLE_S)
    await site.stop()


def _named(host: str) -> str:
    """Return what callers on this machine write for ``host``."""
    return "127.0.0.1" if host in {"0.0.0.0", ""} else host  # noqa: S104  (compared, not listened on)


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise Unreachable(
            f"the simulator cannot listen on {host}:{port}: {error.strerror}; choose another address or port"
        ) from error
    return listening
