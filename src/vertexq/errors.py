"""Every error vertexq raises on purpose.

::

    VertexqError
    ├── BadInput                   the caller must mend what was passed in            (exit 2)
    │   ├── BadSource              a file, a line or a row that cannot be enqueued
    │   ├── BadSettings            environment variables that are missing or wrong
    │   ├── IdConflict             the same submission id with different content
    │   ├── UnknownModel
    │   ├── UnknownOperation       of an endpoint
    │   ├── UnknownStore
    │   └── UnknownSubmission
    ├── Unreachable                a broker, ledger, store or Google cannot be reached (exit 3)
    ├── NotDone                    a wait ran out before the submission ended
    ├── Conflict                   a record moved under us: somebody else was first
    │   ├── LeaseLost              our lease ran out and another worker holds it
    │   └── StaleFence             a store has seen a newer fencing token than ours
    ├── PositionMoved              a store's committed position is not where the chunk starts
    ├── StoreRefused               a store refused rows, or cannot be used as it is    (exit 3)
    ├── BadOutput                  what a job wrote was replaced, damaged, or is no output
    └── ApiError                   Google answered, and not with success
        ├── Refused                400, 401, 403, 404, 409, 412, 416: trying again cannot help
        │   ├── NotFound           404
        │   └── PreconditionFailed 412
        ├── Throttled              429
        ├── Unavailable            408, 5xx: try again later
        └── Ambiguous              no readable answer: the call may have taken effect

An error says what was tried, on what, and what to do. It never holds a secret, a prompt or an answer.
"""

from __future__ import annotations


class VertexqError(Exception):
    """Something vertexq was asked for did not work."""

    retryable = False
    exit_code = 1


class BadInput(VertexqError):
    """What was passed in must be mended first; nothing was sent."""

    exit_code = 2


class BadSource(BadInput):
    """A source, a line or a row cannot be enqueued."""


class BadSettings(BadInput):
    """Environment variables are missing or wrong."""


class IdConflict(BadInput):
    """A submission with this id exists and its content is different."""


class UnknownModel(BadInput):
    """No model family of vertexq takes this model."""


class UnknownOperation(BadInput):
    """The ledger has no operation on an endpoint with this id."""


class UnknownStore(BadInput):
    """No store of this name is configured."""


class UnknownSubmission(BadInput):
    """The ledger has no submission with this id."""


class Unreachable(VertexqError):
    """A broker, a ledger, a store or Google cannot be reached."""

    retryable = True
    exit_code = 3


class NotDone(VertexqError):
    """The submission had not ended when the wait ran out."""


class Conflict(VertexqError):
    """The record was moved by somebody else in the meantime."""

    retryable = True


class LeaseLost(Conflict):
    """The lease on the record ran out and another worker may hold it."""


class StaleFence(Conflict):
    """The store has seen a newer fencing token."""


class PositionMoved(VertexqError):
    """The store's committed position differs from the start of the chunk."""

    retryable = True


class StoreRefused(VertexqError):
    """The store refused the rows, or cannot be used as it is; nothing of the chunk was written."""

    exit_code = 3


class BadOutput(VertexqError):
    """What a job wrote was replaced or damaged, or nobody can read it."""


class ApiError(VertexqError):
    """Google answered, and not with success.

    ``status`` is the HTTP status (0 when there was no answer), ``code`` Google's status word
    (``NOT_FOUND``), ``retry_after_s`` what the server asked for, in seconds, ``said`` its own message.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "",
        retry_after_s: float | None = None,
        said: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s
        self.said = said


class Refused(ApiError):
    """Google refused the call; the same call will be refused again."""


class NotFound(Refused):
    """Google has no such thing."""


class PreconditionFailed(Refused):
    """An ``if…Match`` precondition did not hold."""


class Throttled(ApiError):
    """Google asks to slow down."""

    retryable = True


class Unavailable(ApiError):
    """Google cannot answer now."""

    retryable = True
    exit_code = 3


class Ambiguous(ApiError):
    """The call may or may not have taken effect; look before it is made again."""

    retryable = True
