"""Workers that are put to sleep in the middle of paid calls, past their leases, and wake up again."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.service.sender import senders
from tests.service.sending_site import Site, all_end, logs, sites
from vertexq.embedded.process import Child
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState

BATCHES, WORKERS, LEASE_S, ROUNDS = 60, 3, 1.0, 12
CREATE = "aiplatform.projects.locations.batchPredictionJobs.create"
IMPATIENT = {
    "VERTEXQ_LEASE_S": str(LEASE_S),
    "VERTEXQ_HEARTBEAT_S": "0.25",
    "VERTEXQ_CREATES_PER_MINUTE": "6000",
    "VERTEXQ_REQUEST_DEADLINE_S": "5",
    "VERTEXQ_SETTLE_TIME_S": "8",
}


def _put_to_sleep(children: list[Child], rng: Random) -> None:
    """Stop workers in the middle of whatever they do, for longer than a lease, and let them go on."""
    for _ in range(ROUNDS):
        awake = [child for child in children if child.running()]
        if not awake:
            return
        sleeper = rng.choice(awake)
        os.kill(sleeper.pid, signal.SIGSTOP)
        time.sleep(LEASE_S * 1.5)  # not to wait for something: the sleep itself is what is tested
        os.kill(sleeper.pid, signal.SIGCONT)
        time.sleep(rng.random() / 2)


def _paid(site: Site) -> Counter[str]:
    return Counter(create.display_name for create in site.google.accepted)


def test_workers_that_share_batches_and_fall_asleep_pay_once(tmp_path: Path) -> None:
    """Every worker has every batch in hand; one sleeps while another takes over: one job each, always."""
    with sites(tmp_path, f"sqlite:///{tmp_path}/ledger.db") as site:
        for action, share in ((Action.DELAY, 0.5), (Action.ACCEPT_THEN_DROP, 0.1)):
            site.google.faults.add(
                Fault(method=CREATE, action=action, probability=share, times=None, delay_s=0.4)
            )
        (ids,) = site.shares(BATCHES, workers=1)
        rng = Random(1)
        shares = [rng.sample(ids, len(ids)) for _ in range(WORKERS)]
        with senders(tmp_path, {**site.environment, **IMPATIENT}, shares) as children:
            _put_to_sleep(children, rng)
            assert all_end(children, timeout_s=90), logs(site)

        assert set(_paid(site)) == set(ids)
        assert set(_paid(site).values()) == {1}
        assert {site.ledger.batch(one).state for one in ids} == {BatchState.BOUND}
