"""A minute of 429: the rate falls and rises again; nothing fails, is parked or is made twice."""
# redis has types that pyright calls partially unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from tests.contract.ledger_values import new_batch
from tests.service.sender import senders
from tests.service.sending_site import Site, logs, sites
from vertexq.embedded.process import Child, await_true
from vertexq.limits.base import CallClass
from vertexq.limits.budget import BUDGETS
from vertexq.limits.gate import Gate
from vertexq.limits.shared import gate_key
from vertexq.simulator.faults import Action, Fault
from vertexq.states import SubmissionState

STORM_S = 60.0
BATCHES = 12
CREATES, READS = "*.batchPredictionJobs.create", "*.batchPredictionJobs.[gl]*"
PLACE = ("p", new_batch().location)


@pytest.fixture
def site(tmp_path: Path, postgres_url: str) -> Iterator[Site]:
    """Build a site."""
    with sites(tmp_path, postgres_url) as built:
        yield built


@dataclass(slots=True)
class Watch:
    """What was seen of a limit and of the retry budget while workers worked."""

    site: Site
    rates: list[float] = field(default_factory=list[float])
    tokens: list[int] = field(default_factory=list[int])

    def until_end(self, children: list[Child], *, timeout_s: float) -> bool:
        """Look until every worker has ended, well."""
        ended = await_true(lambda: self._looked(children), timeout_s=timeout_s)
        return ended and all(child.wait(0) == 0 for child in children)

    def _looked(self, children: list[Child]) -> bool:
        gate = Gate.read(self._hash(gate_key(*PLACE, CallClass.CREATE)))
        if gate.limit:
            self.rates.append((gate.rate or gate.limit) / 1e6)
        scope = "projects/{}/locations/{}".format(*PLACE)
        self.tokens.append(int(self._hash(f"{BUDGETS}{scope}").get("tokens", 500)))
        return children[0].wait(0.2) is not None and not any(child.running() for child in children)

    def _hash(self, key: str) -> dict[str, str]:
        with self.site.valkey.connect() as client:
            found = cast("dict[bytes, bytes]", client.hgetall(key))
        return {name.decode(): value.decode() for name, value in found.items()}


def refused(site: Site, methods: str) -> int:
    """Return how many calls were answered with 429."""
    return sum(entry.status == 429 for entry in site.google.faults.log(methods))


@pytest.mark.timeout(240)
def test_a_storm_of_429_fails_nothing(tmp_path: Path, new_postgres_url: Callable[[], str]) -> None:
    """Every create is refused for a minute, at one site every read too, with Retry-After; then all are made.

    The two sites have nothing in common, and their minutes pass at the same time.
    """
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        bare, asked = (
            stack.enter_context(sites(tmp_path / name, new_postgres_url())) for name in ("bare", "asked")
        )
        storms = [
            pool.submit(outlive_a_storm, bare, (CREATES,), None),
            pool.submit(outlive_a_storm, asked, (CREATES, READS), 10.0),
        ]
        for storm in storms:
            storm.result()


def outlive_a_storm(site: Site, methods: tuple[str, ...], retry_after_s: float | None) -> None:
    """Let four workers send while Google refuses the methods for a minute; nothing fails or is made twice."""
    shares = site.shares(BATCHES, workers=4)
    site.google.faults.add(
        *(
            Fault(
                method=method, action=Action.REFUSE, status=429, times=None, for_s=STORM_S,
                retry_after_s=retry_after_s,
            )
            for method in methods
        )
    )  # fmt: skip
    watch = Watch(site)
    with senders(site.home, site.environment, shares) as children:
        assert watch.until_end(children, timeout_s=220), logs(site)

    states = {site.ledger.submission(f"s-{number}").state for number in range(BATCHES)}
    lowest = min(watch.rates)
    assert states == {SubmissionState.RUNNING}
    assert len({create.display_name for create in site.google.accepted}) == BATCHES
    assert len(site.google.accepted) == BATCHES
    assert lowest <= 8.0
    assert watch.rates[-1] >= 3 * lowest
    assert 3 <= refused(site, CREATES) <= 25
    assert refused(site, READS) <= 100
    assert min(watch.tokens) >= 0


@pytest.mark.timeout(180)
def test_an_outage_of_google_costs_one_probe_each_half_minute(site: Site) -> None:
    """Every create gets 503 for 45 s: the breaker opens, one worker of four probes; then all are made."""
    shares = site.shares(BATCHES, workers=4)
    site.google.faults.add(Fault(method=CREATES, action=Action.REFUSE, status=503, times=None, for_s=45.0))
    watch = Watch(site)
    with senders(site.home, site.environment, shares) as children:
        assert watch.until_end(children, timeout_s=160), logs(site)

    failed = sum(entry.status == 503 for entry in site.google.faults.log(CREATES))
    assert 6 <= failed <= 8  # five open it, at most two are on their way then, one probes
    assert len({create.display_name for create in site.google.accepted}) == BATCHES
    assert len(site.google.accepted) == BATCHES
    assert min(watch.rates) == 60.0
