"""How the job of an unclear create is looked for when Google's list lags, repeats or leaves out."""

from __future__ import annotations

import pytest

from tests.fundamentals.creating import (
    CREATE,
    LIST,
    PROMPTS,
    enqueued,
    left_sending,
    post_behind_our_back,
    the_batch,
)
from tests.fundamentals.house import House
from vertexq.simulator.faults import Action, Fault


def spoiled(note: str, match: str = "", times: int | None = None) -> Fault:
    """Return the fault that spoils lists whose query holds a text."""
    return Fault(method=LIST, action=Action.OTHER, note=note, match=match, times=times)


def asked(house: House) -> str:
    """Return the queries of all lists so far."""
    return " ".join(entry.path for entry in house.simulator.faults.log(LIST))


async def test_a_job_whose_label_is_not_found_is_found_by_its_display_name(house: House) -> None:
    """The filter on labels lags behind; the first look asks for the display name as well."""
    house.simulator.faults.add(Fault(method=CREATE, action=Action.ACCEPT_THEN_DROP))
    house.simulator.faults.add(spoiled("empty-list", "labels.vertexq"))
    status = await enqueued(house.with_options(settle_time_s=20.0))

    assert (len(house.simulator.accepted), status.counts.succeeded) == (1, len(PROMPTS))
    assert the_batch(house).looks == 1


async def test_a_job_that_no_filter_finds_is_found_among_all_jobs(house: House) -> None:
    """From the second look on, everything that was created since is compared on our side."""
    house.simulator.faults.add(Fault(method=CREATE, action=Action.ACCEPT_THEN_DROP))
    house.simulator.faults.add(spoiled("empty-list", "labels.vertexq"), spoiled("empty-list", "display_name"))
    status = await enqueued(house.with_options(settle_time_s=20.0))

    assert (len(house.simulator.accepted), status.counts.succeeded) == (1, len(PROMPTS))
    assert the_batch(house).looks == 2


async def test_there_is_a_look_before_a_post_that_follows_another(house: House) -> None:
    """Whatever the earlier looks said: a batch that was sent before is looked for among all jobs."""
    house.simulator.faults.add(Fault(method=CREATE, action=Action.REFUSE, status=429))
    await enqueued(house)
    log = [entry for entry in house.simulator.faults.log() if entry.method in (CREATE, LIST)]
    posts = [number for number, entry in enumerate(log) if entry.method == CREATE]

    assert len(posts) == 2
    assert any("create_time" in entry.path for entry in log[posts[0] : posts[1]])
    assert not any("create_time" in entry.path for entry in log[: posts[0]])


@pytest.mark.parametrize("note", ["doubled-list", "halved-list"])
async def test_a_list_that_repeats_or_drops_jobs_makes_no_strays(house: House, note: str) -> None:
    """The same job twice on a page is one job; one that is left out is asked for by its name."""
    house.simulator.faults.add(spoiled(note))
    await post_behind_our_back(house, await left_sending(house))
    status = await house.until_rest("one")

    assert house.services.ledger.strays("one") == []
    assert (len(house.simulator.accepted), status.counts.succeeded) == (1, len(PROMPTS))


async def test_a_clear_answer_costs_no_look(house: House) -> None:
    """Before the first POST and after a clear answer nothing is listed but by polls."""
    await enqueued(house)

    assert "display_name" not in asked(house)
    assert (the_batch(house).attempt, the_batch(house).looks) == (1, 0)
