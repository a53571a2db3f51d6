"""A real worker with beat: what waits for a webhook is delivered, and its secret shows nowhere."""

from __future__ import annotations

from pathlib import Path

from tests.contract.delivering import put
from tests.receiving import SECRET, Received, receiving_beside
from tests.service.crew import start_worker
from vertexq.embedded.process import await_true


def test_a_worker_delivers_what_waits_in_the_ledger(
    tmp_path: Path, worker_environment: dict[str, str]
) -> None:
    """A tick finds it, a hint leads to it, it arrives signed; the log holds neither body nor secret."""
    with receiving_beside() as receiver:
        hook = {"VERTEXQ_STORE_HOOK": receiver.store_url(), "HOOK_SECRET": SECRET}
        crew = start_worker(tmp_path, {**worker_environment, **hook}, "-c", "1")
        put(crew.ledger, "m-canary-1", "m-canary-2")
        assert crew.sweeps(), crew.log

        arrived = await_true(lambda: len(receiver.by_id) == 2, timeout_s=60)
        taken = await_true(lambda: [one.delivered for one in crew.ledger.told("s-1")] == [2], timeout_s=60)
        crew.close()
        log = crew.log

    assert arrived, log
    assert taken, log
    assert all(is_genuine(one) for one in receiver.requests)
    assert SECRET not in log
    assert "canary" not in log.replace("m-canary", "")


def is_genuine(received: Received) -> bool:
    """Tell whether a message is signed."""
    return received.is_signed_with(SECRET)
