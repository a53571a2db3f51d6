"""A retry that somebody asks for: checked, and noted in the ledger. Workers do the rest."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from vertexq.errors import BadInput
from vertexq.families import family_for, family_of
from vertexq.families.own_models import OwnName
from vertexq.model import Retry, Submission
from vertexq.results import Outcome
from vertexq.rounds import BY_HAND, asked_for, not_done
from vertexq.states import BATCH_TERMINAL, SUBMISSION_RESTING, SubmissionState

if TYPE_CHECKING:
    from vertexq.ledger import Ledger


_MAY_HAVE_ENDED = SUBMISSION_RESTING | {SubmissionState.SETTLING}


def wanted(outcomes: Collection[str], model: str | None) -> Retry:
    """Return what is asked for; raise ``BadInput`` for no outcome, or one that cannot be tried again."""
    known = [one.value for one in BY_HAND]
    outcomes = [outcomes] if isinstance(outcomes, str) else outcomes
    unknown = sorted({str(one) for one in outcomes} - set(known))
    if unknown or not outcomes:
        said = ", ".join(unknown) or "nothing"
        raise BadInput(f"rows with these outcomes can be tried again: {', '.join(known)}; asked for: {said}")
    return Retry(outcomes=tuple(one for one in known if one in outcomes), model=model or "")


def ask(ledger: Ledger, submission_id: str, retry: Retry) -> int:
    """Note a retry, and return how many rows it is about; for none, nothing is changed.

    Raise ``UnknownModel`` or ``BadInput`` for a model that cannot answer these rows, ``NotDone`` while the
    submission has not come to its end.
    """
    submission = ledger.submission(submission_id)
    if retry.model:
        _check_model(ledger, submission, retry.model)
    if submission.state not in _MAY_HAVE_ENDED:
        raise not_done(submission)
    rows = _rows(ledger, submission, retry)
    if rows:
        ledger.request_retry(submission_id, retry)
    return rows


def _rows(ledger: Ledger, submission: Submission, retry: Retry) -> int:
    """Count the rows, batch by batch: the state of one batch is in memory at a time."""
    ended = [one.id for one in ledger.batches(submission.id) if one.state in BATCH_TERMINAL]
    return sum(len(asked_for(ledger.batch(one), retry)) for one in ended)


def _check_model(ledger: Ledger, submission: Submission, model: str) -> None:
    """Raise ``BadInput`` unless jobs of another model can read these rows, where the ones before it ran."""
    known = family_for(submission)
    if not known.may_be(model):
        raise BadInput(
            f"the rows were written for {submission.model} ({known.name}) and {model} "
            f"({family_of(model).name}) reads others; name a model of the same family, such as "
            f"{known.example}"
        )
    own = OwnName.parse(model)
    if own is not None and own.is_endpoint:
        raise BadInput(f"{model} is an endpoint, and jobs name models; name the one that it serves")
    places = {batch.location for batch in ledger.batches(submission.id)}
    refusals = [known.refusal(model, place) for place in sorted(places)]
    for why in (known.misfit(model, submission.parameters), *refusals):
        if why:
            raise BadInput(f"{why}; nothing was sent")


def failed_outcomes(
    *, failed: bool = False, blocked: bool = False, missing: bool = False, quarantined: bool = False
) -> tuple[Outcome, ...]:
    """Return the outcomes that options stand for: ``failed`` is for missing rows as well."""
    asked = {
        Outcome.FAILED: failed,
        Outcome.BLOCKED: blocked,
        Outcome.MISSING: failed or missing,
        Outcome.QUARANTINED: quarantined,
    }
    return tuple(outcome for outcome, is_asked in asked.items() if is_asked)
