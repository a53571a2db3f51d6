"""What a kind of model does with a simulated job: take its lines, answer them, name its files. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from vertexq.model import JobError
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.importer import Shape
from vertexq.simulator.kinds.lots import OutputRow


class Importing(Protocol):
    """Takes a job's lines one by one, before the first of them is answered."""

    shape: Shape
    rows: int

    @property
    def digest(self) -> str:
        """A digest over all lines, in their order."""
        ...

    def feed(self, line: bytes) -> JobError | None:
        """Take one line; return the error that ends the job, if this line brings it about."""
        ...

    def close(self) -> JobError | None:
        """Take the end of the input; return the error that ends the job, if there is one."""
        ...


class Answering(Protocol):
    """Answers the rows of one job."""

    def answer(self, line: bytes, now: datetime) -> OutputRow:
        """Return what comes out for one input line, apart from times decided by seed and content."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a job's rows are answered with. ``shape`` is that of its input, ``salt`` names the input."""

    seed: int
    model: str  # as the create named it
    behaviour: Behaviour
    shape: Shape
    salt: str
    parameters: Mapping[str, object] = field(default_factory=dict[str, object])  # modelParameters


def shards_of(shards: int) -> list[str]:
    """Return the names of a Gemini job's final files."""
    if shards <= 1:
        return ["predictions.jsonl"]
    return [f"predictions-{shard:05}-of-{shards:05}.jsonl" for shard in range(shards)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """What a kind's jobs read from and write to BigQuery.

    ``column`` of the input holds the request. Every output table has the columns ``results``; the fields of
    the object ``spread`` in an output line are columns of their own. ``named``: a job may be told its table.
    """

    column: str = "request"
    results: tuple[str, ...] = ("request", "response", "status", "processed_time")
    spread: str = ""
    named: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineForm:
    """How a kind answers at once: the method, and how a call is a row of a job.

    ``line`` returns the input line for a request (of ``predict``: for one instance), ``said`` what of its
    output line is the answer (of ``predict``: one prediction).
    """

    verb: str
    line: Callable[[Mapping[str, object]], bytes]
    said: Callable[[Mapping[str, object]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of model. ``word`` stands in the name of a job's output directory.

    ``files`` names the final files for a number of shards; ``error_file`` is where the lines of rows go that
    stand ``apart``, empty when there is no such file. ``online`` is None when it answers no online calls.
    ``at_once`` is how many jobs of the kind may run in a project, 0 any number.
    """

    name: str
    importer: Callable[[Behaviour], Importing]
    answerer: Callable[[Task], Answering]
    word: Callable[[str], str] = lambda _model: "model"
    files: Callable[[int], list[str]] = shards_of
    error_file: str = ""
    tables: Tables = field(default_factory=Tables)
    online: OnlineForm | None = None
    at_once: int = 0
