"""Poll: one filtered list keeps the states of all jobs of a place fresh, a request for each hundred.

::

    due ──► fewer than the list has pages     each is listed by its label
      └───► more                              the running jobs since the oldest that is due, page by page
                └─► not among them: ended, or listed late. Many are looked for in a list of the ended,
                    the rest is listed by its label, and asked for by name when even that shows nothing
"""

from __future__ import annotations

from vertexq.steps.dispatch import dispatch
from vertexq.steps.duties import on_duty
from vertexq.steps.looking import SKEW_S
from vertexq.steps.observing import wake
from vertexq.steps.rollcall import PAGE, SINGLES, RollCall, ask_for_each
from vertexq.steps.services import Services
from vertexq.steps.strays import chase

__all__ = ["poll", "wake"]


async def poll(services: Services, project: str, location: str) -> None:
    """Look at the jobs of a project and location when one of them is due.

    One poll of a place goes on at a time. Two would do no harm: each finding is a compare-and-set on the
    batch's version.
    """
    async with on_duty(services, f"poll {project} {location}") as ours:
        if not ours:
            return
        await chase(services, project, location)
        if await _look(services, project, location):
            await dispatch(services, project, location)


async def _look(services: Services, project: str, location: str) -> bool:
    """Look in the way that costs fewer requests; tell whether a slot is free since."""
    window = services.ledger.poll_window(project, location, skew_s=SKEW_S)
    if window is None:
        return False
    if window.due <= -(-window.bound // PAGE):
        due = services.ledger.poll_due(project, location, limit=SINGLES)
        return await ask_for_each(services, due)
    call = RollCall(services, window)
    await call.hold()
    return call.freed
