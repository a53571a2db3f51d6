"""What a model family is: a few pure functions and limits. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vertexq.check.base import FieldRules
from vertexq.errors import BadInput
from vertexq.families.online import OnlineWay
from vertexq.families.own_models import Made
from vertexq.families.table_checks import ABSENT, EMPTY_TEXT, NO_OBJECT, TableCheck
from vertexq.families.wire import Wire
from vertexq.rows import Read, ReadContext

Row = str | Mapping[str, Any]
Request = Callable[[Row], Mapping[str, Any]]
Parameters = Mapping[str, Any]


class NoRequest(ValueError):
    """A row holds no request of this family; the text says what was expected, without quoting the row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableForm:
    """What a job of the family reads and writes in BigQuery.

    ``column`` of the input table holds the request; ``reserved`` are names that a table must not have, since
    jobs write columns of these names: each that the family's reader looks at is one of them.
    ``checks`` tell rows that cannot be sent, beside those without a request; ``output_tokens`` is the SQL of
    the most tokens that a row may answer, 0 when it sets no limit.
    """

    column: str
    reserved: frozenset[str]
    checks: tuple[TableCheck, ...] = ()
    output_tokens: str = "0"

    @property
    def all_checks(self) -> tuple[TableCheck, ...]:
        """Return every check, in the order in which they are asked."""
        return (ABSENT, EMPTY_TEXT if self.plain else NO_OBJECT, *self.checks)

    @property
    def plain(self) -> bool:
        """Tell whether the column holds texts rather than JSON."""
        return self.column == "content"


def no_vectors(_model: str, _parameters: Parameters) -> int:
    """Give no vectors."""
    return 0


def anywhere(_model: str, _location: str) -> str:
    """Refuse no place."""
    return ""


def fitting(_model: str, _parameters: Parameters) -> str:
    """Find nothing that a model would leave unused."""
    return ""


def in_rows(_parameters: Parameters) -> Parameters:
    """Return no parameters for a job: all that is asked for stands in its rows."""
    return {}


def in_one_form(given: Parameters, _form: str) -> Parameters:
    """Return parameters as they are: what they ask for is written in one way only."""
    return given


def without_parameters(parameters: Parameters) -> Parameters:
    """Take no parameters of a model; raise ``BadInput`` for any."""
    if parameters:
        raise BadInput(
            f"this model takes no parameters beside its rows, and {', '.join(map(repr, sorted(parameters)))} "
            "was given; write what you want of an answer into each request"
        )
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One kind of model and the lines it reads and writes.

    ``request`` turns what a producer passed for one row (a text or an object) into the request that is sent,
    or raises ``NoRequest``; ``requesting`` makes such a function for a submission's parameters. ``reading``
    makes a reader of output lines for what one submission wants of its answers. ``check`` holds the family's
    rules for requests; ``estimate`` returns (input tokens, most output tokens, or 0) of a request.

    ``accepts`` tells by a model's name whether it is of the family; a project's own models carry no kind in
    their names, so a producer may name the family, of which ``takes`` says which models can be (None: those
    that it accepts). ``slots`` is how many jobs may run at once in a project
    (None: the setting), ``refusal`` says why jobs of a model cannot run in a location ("" when they can).
    ``parameters`` checks what may be set for all rows together, or raises ``BadInput``; ``job_parameters``
    returns what of it belongs into the job; ``with_form`` returns it with the form of options that a setting
    says; ``misfit`` says which of it a model would leave unused. Of a family that ``writes_text`` answers
    have output tokens. ``object_row`` returns the row that an object in Cloud Storage is itself, by its
    address, or None for one that holds rows. ``tables`` is None when a job reads and writes no BigQuery.
    ``dimensions`` says how many numbers the vectors of a model have under a submission's parameters, unless a
    row says otherwise; 0 for no vectors, or an unknown number.
    """

    name: str
    example: str
    accepts: Callable[[str], bool]
    request: Request
    reading: Callable[[ReadContext], Read]
    rows_limit: int
    input_limit_bytes: int
    check: FieldRules
    estimate: Callable[[Mapping[str, Any]], tuple[int, int]]
    wire: Wire = field(default_factory=Wire)
    slots: int | None = None
    refusal: Callable[[str, str], str] = anywhere
    same_region: bool = False  # Google wants the buckets in the jobs' region
    parameters: Callable[[Parameters], Parameters] = without_parameters
    job_parameters: Callable[[Parameters], Parameters] = in_rows
    with_form: Callable[[Parameters, str], Parameters] = in_one_form
    misfit: Callable[[str, Parameters], str] = fitting
    requesting: Callable[[Parameters], Request] | None = None
    writes_text: bool = True
    naming: Callable[[str, Request], Request] | None = None  # for requests that hold the model's name
    takes: Callable[[str], bool] | None = None
    made: Made | None = None  # what Google says of its models, which are a project's own
    object_row: Callable[[str], Mapping[str, Any] | None] | None = None
    tables: TableForm | None = None
    dimensions: Callable[[str, Parameters], int] = no_vectors
    online: OnlineWay | None = None  # how rows are answered without a job; None: they are not
    validates: bool = False  # answers that were asked for as JSON are read as such, and held to their schema
    resumes: bool = False  # a job takes an earlier one's output and runs the rows without an answer

    def request_for(self, parameters: Parameters, model: str = "") -> Request:
        """Return what turns rows into requests for ``model`` under a submission's parameters."""
        request = self.requesting(parameters) if self.requesting else self.request
        return self.naming(model, request) if self.naming else request

    def may_be(self, model: str) -> bool:
        """Tell whether a model can be of this family when a producer says so."""
        return (self.takes or self.accepts)(model)
