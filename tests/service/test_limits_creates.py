"""The limit on creates with real worker processes; the judge is the simulator's own log of creates."""
# redis has types that pyright calls partially unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.service.sender import senders
from tests.service.sending_site import Site, all_end, logs, sites
from vertexq.embedded import Valkey
from vertexq.limits.shape import Shape

MINUTE_S = 60.0


@pytest.fixture
def site(tmp_path: Path, postgres_url: str) -> Iterator[Site]:
    """Build a site."""
    with sites(tmp_path, postgres_url) as built:
        yield built


@pytest.mark.timeout(240)
def test_eight_workers_make_no_more_than_sixty_creates_in_any_minute(site: Site) -> None:
    """70 batches, 8 processes, 60 a minute: no 60 seconds see more than 60 creates, nor many fewer."""
    shares = site.shares(70, workers=8)
    with senders(site.home, site.environment, shares) as children:
        assert all_end(children, timeout_s=200), logs(site)

    accepted_s = site.accepted_s()
    busiest = max(sum(first <= at < first + MINUTE_S for at in accepted_s) for first in accepted_s)
    assert len(accepted_s) == 70
    assert 50 <= busiest <= 60


@pytest.mark.timeout(180)
def test_a_redis_that_forgets_and_dies_lets_no_create_through_early(site: Site) -> None:
    """Flushed, killed, killed with its files: creates keep to the limit, and each is made once."""
    per_minute = 600
    shares = site.shares(90, workers=4)
    environment = {**site.environment, "VERTEXQ_CREATES_PER_MINUTE": str(per_minute)}
    with senders(site.home, environment, shares) as children:
        for number, disturb in enumerate((flush, flush, kill, kill, start_empty, flush), start=1):
            assert site.has_accepted(number * 10), logs(site)
            disturb(site.valkey)
        assert all_end(children, timeout_s=120), logs(site)

    gap_s = Shape(per_minute=per_minute, careful=True).gap_us / 1e6
    accepted_s = site.accepted_s()
    assert len({create.display_name for create in site.google.accepted}) == len(accepted_s) == 90
    assert max(fill(accepted_s, gap_s)) <= 2.0


def fill(accepted_s: list[float], gap_s: float) -> list[float]:
    """Return how far ahead of an even pace each create was, in seconds: the limit's slack is 2 s."""
    ahead_s = [0.0]
    for before, after in pairwise(accepted_s):
        ahead_s.append(max(0.0, ahead_s[-1] + gap_s - (after - before)))
    return ahead_s


def flush(valkey: Valkey) -> None:
    """Wipe its memory."""
    with valkey.connect() as client:
        client.flushall()


def kill(valkey: Valkey) -> None:
    """Kill it and start it again, with its files."""
    valkey.kill()
    valkey.start()


def start_empty(valkey: Valkey) -> None:
    """Kill it and start it again with nothing."""
    valkey.kill()
    shutil.rmtree(valkey.home / "data")
    valkey.start()
