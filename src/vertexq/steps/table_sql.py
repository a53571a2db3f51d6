"""GoogleSQL of a staged table: a copy that is checked and numbered, and parts of it that jobs read. No I/O.

The copy (the *plan*) is made by one statement, so that it is one snapshot and whole or not there. Rows that
can be sent are numbered first, from 0, those with a fault after them. A number is put together of that within
one of some thousand shards and of the sizes of those before it: no step sorts all rows on one machine, and
which shard a row is in depends on the row alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vertexq.check.faults import Rule
from vertexq.families.base import TableForm
from vertexq.families.table_checks import TableCheck
from vertexq.google.bigquery_messages import TableColumn, TableRef
from vertexq.keys import KEY_LIMIT_BYTES

PREFIX = "vertexq_"
ASIDE_MARK = "~row"
"""Stands between a key and the row's number where a row that is set aside has no key that is its alone."""

_NOTES = ("number", "key", "fault", "given_tokens", "most_tokens", "bytes")
_AS_JSON_TEXT = frozenset({"RECORD", "STRUCT", "RANGE", "GEOGRAPHY"})
_AS_TEXT = frozenset({"DATETIME"})
_KEYS = frozenset({"STRING", "INTEGER", "INT64"})
_UNPRINTABLE = r"\p{C}|[^ \P{Z}]"
_GIVEN = "vertexq_given"
_ALIKE = "vertexq_alike"  # how many rows have the same key
_NO_KEY = TableCheck(
    rule=Rule.KEY, sql=f"{_GIVEN} IS NULL", text="the key is NULL", mend="give the row a key"
)
_BAD_KEY = TableCheck(
    rule=Rule.KEY,
    sql=(
        f"BYTE_LENGTH({_GIVEN}) NOT BETWEEN 1 AND {KEY_LIMIT_BYTES} "
        f"OR REGEXP_CONTAINS({_GIVEN}, r'{_UNPRINTABLE}')"
    ),
    text=f"the key must have 1 to {KEY_LIMIT_BYTES} bytes, all of them printable",
    mend="give the row another key",
)
_MARKED_KEY = TableCheck(
    rule=Rule.KEY,
    sql=f"STRPOS({_GIVEN}, '{ASIDE_MARK}') > 0",
    text=f"the key holds {ASIDE_MARK}, which marks rows that are set aside",
    mend="give the row another key",
)
_REPEATED = TableCheck(
    rule=Rule.DUPLICATE_KEY, sql="", text="an earlier row has the same key", mend="rename one of them"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """How the rows of ``source`` are copied into ``plan``, of which parts are made.

    ``key_column`` holds the producer's keys; empty when the table has none. ``wire_key`` is what the column
    with our keys is called. ``at_us`` is the moment (microseconds since 1970) as of which the source is read;
    None for what has no past, like a view: it is copied as it is first. With ``aside`` rows with a fault are
    kept in the account.
    """

    source: TableRef
    plan: TableRef
    form: TableForm
    key_column: str
    wire_key: str
    at_us: int | None
    expires_ms: int
    aside: bool = False
    columns: Sequence[TableColumn] = field(default_factory=tuple[TableColumn, ...])

    @property
    def seen(self) -> TableRef | None:
        """Return the copy of a source without a past; None when there is none.

        The plan reads its source twice, and a part of a query that is named twice is run twice
        (https://docs.cloud.google.com/bigquery/docs/reference/standard-sql/query-syntax#with_clause): a view
        with ``RAND()`` or ``LIMIT`` would be other rows each time.
        """
        return replace(self.plan, table=f"{self.plan.table}_seen") if self.at_us is None else None

    def look(self) -> str:
        """Return the statement that copies a source without a past."""
        return (
            f"CREATE TABLE {quoted(self.seen or self.plan)} {_options(self.expires_ms)} AS "
            f"SELECT * FROM {quoted(self.source)}"
        )

    @property
    def checks(self) -> tuple[TableCheck, ...]:
        """Return what a row's fault may be, by its number."""
        keys = (_NO_KEY, _BAD_KEY, *((_MARKED_KEY,) if self.aside else ())) if self.key_column else ()
        return (_REPEATED, *keys, *self.form.all_checks)

    def copy(self) -> str:
        """Return the statement that makes the plan."""
        own = "vertexq_text, vertexq_given, vertexq_own, vertexq_shard, vertexq_skipped, vertexq_place, "
        own += _ALIKE
        own += "" if self.form.plain else ", vertexq_json"
        return f"""
CREATE TABLE {quoted(self.plan)} CLUSTER BY vertexq_number {_options(self.expires_ms)} AS
WITH taken AS ({self._taken()}),
judged AS (SELECT *, {self._fault()} AS vertexq_own FROM taken),
ranked AS (SELECT *, {self._with_repeats()} AS vertexq_fault, {self._alike()} AS {_ALIKE} FROM judged),
sharded AS (SELECT *, CONCAT(IF(vertexq_fault IS NULL, '0', '1'),
  SUBSTR(TO_HEX(MD5(COALESCE({_GIVEN}, vertexq_text, ''))), 1, 3)) AS vertexq_shard FROM ranked),
sizes AS (SELECT vertexq_shard AS vertexq_place, COUNT(*) AS held FROM sharded GROUP BY vertexq_shard),
places AS (SELECT vertexq_place, SUM(held) OVER (ORDER BY vertexq_place) - held AS vertexq_skipped
  FROM sizes),
numbered AS (SELECT *, vertexq_skipped - 1 + ROW_NUMBER() OVER (PARTITION BY vertexq_shard ORDER BY {_GIVEN})
  AS vertexq_number FROM sharded JOIN places ON vertexq_shard = vertexq_place)
SELECT * EXCEPT ({own}), {self._key()} AS vertexq_key,
  DIV(IFNULL(BYTE_LENGTH(vertexq_text), 0) + 3, 4) AS vertexq_given_tokens,
  IF(vertexq_fault IS NULL, {self.form.output_tokens}, 0) AS vertexq_most_tokens,
  IFNULL(BYTE_LENGTH(vertexq_text), 0) AS vertexq_bytes
FROM numbered"""

    def _taken(self) -> str:
        request = next(each for each in self.columns if each.name.lower() == self.form.column)
        name, is_json = quoted_name(request.name), request.kind == "JSON"
        text = f"IF({name} IS NULL, NULL, TO_JSON_STRING({name}))" if is_json else name
        parsed = name if is_json else f"SAFE.PARSE_JSON({name}, wide_number_mode => 'round')"
        given = (
            f"CAST({quoted_name(self.key_column)} AS STRING)" if self.key_column else "CAST(NULL AS STRING)"
        )
        said = [*map(_taken_column, self._beside()), f"{name} AS {quoted_name(self.form.column)}"]
        said += [f"{text} AS vertexq_text", f"{given} AS {_GIVEN}"]
        said += [] if self.form.plain else [f"{parsed} AS vertexq_json"]
        when = "" if self.at_us is None else f" FOR SYSTEM_TIME AS OF TIMESTAMP_MICROS({self.at_us})"
        return f"SELECT {', '.join(said)} FROM {quoted(self.seen or self.source)}{when}"

    def _beside(self) -> list[TableColumn]:
        """Return the columns that come along; the key's own comes as our key when it has that name."""
        left = {self.form.column, self.wire_key.lower()}
        return [each for each in self.columns if each.name.lower() not in left]

    def _fault(self) -> str:
        asked = [(number, each.sql) for number, each in enumerate(self.checks) if each.sql]
        return f"CASE {' '.join(f'WHEN {sql} THEN {number}' for number, sql in asked)} END"

    def _with_repeats(self) -> str:
        """Return the fault of a row, counted in that an earlier good one may have its key."""
        if not self.key_column:
            return "vertexq_own"
        nth = (
            f"ROW_NUMBER() OVER (PARTITION BY {_GIVEN} ORDER BY IFNULL(vertexq_own, -1), "
            "TO_HEX(MD5(IFNULL(vertexq_text, ''))))"
        )
        return f"IF(vertexq_own IS NULL AND {nth} > 1, 0, vertexq_own)"

    def _alike(self) -> str:
        """Return how many rows have a row's key; without keys nothing goes through the rows together."""
        return f"COUNT(*) OVER (PARTITION BY {_GIVEN})" if self.key_column else "1"

    def _key(self) -> str:
        number = "CAST(vertexq_number AS STRING)"
        if not self.key_column:
            return number
        bad = [str(at) for at, each in enumerate(self.checks) if each.rule is Rule.KEY]
        no_key = f"IFNULL(vertexq_fault IN ({', '.join(bad)}), FALSE)"
        marked = f"CONCAT(IF({no_key}, '', {_GIVEN}), '{ASIDE_MARK}', {number})"
        own = f"vertexq_fault IS NULL OR ({_ALIKE} = 1 AND NOT {no_key})"
        return f"IF({own}, {_GIVEN}, {marked})"

    def counts(self) -> str:
        """Return the query for (fault, rows, input tokens, most output tokens, rows without a limit)."""
        return (
            "SELECT vertexq_fault, COUNT(*), SUM(vertexq_given_tokens), SUM(vertexq_most_tokens), "
            f"COUNTIF(vertexq_most_tokens = 0) FROM {quoted(self.plan)} GROUP BY vertexq_fault"
        )

    def offenders(self, most: int) -> str:
        """Return the query for (number, key, fault) of the first rows with a fault."""
        return (
            f"SELECT vertexq_number, vertexq_key, vertexq_fault FROM {quoted(self.plan)} "
            f"WHERE vertexq_fault IS NOT NULL ORDER BY vertexq_number LIMIT {most}"
        )

    def rows(self, begin: int, end: int) -> str:
        """Return the query for rows by number: (key, tokens, most tokens, bytes, fault, plain text)."""
        text = quoted_name(self.form.column) if self.form.plain else "CAST(NULL AS STRING)"
        return (
            "SELECT vertexq_key, vertexq_given_tokens, vertexq_most_tokens, vertexq_bytes, vertexq_fault, "
            f"{text} FROM {quoted(self.plan)} WHERE vertexq_number >= {begin} AND vertexq_number < {end} "
            "ORDER BY vertexq_number"
        )

    def part(self, target: TableRef, begin: int, end: int) -> str:
        """Return the statement that makes the table of one job."""
        own = ", ".join(PREFIX + name for name in _NOTES)
        key = f"CONCAT('r', CAST(vertexq_number - {begin} AS STRING), '-', vertexq_key)"
        return (
            f"CREATE TABLE {quoted(target)} {_options(self.expires_ms)} AS SELECT * EXCEPT ({own}), "
            f"{key} AS {quoted_name(self.wire_key)} FROM {quoted(self.plan)} "
            f"WHERE vertexq_number >= {begin} AND vertexq_number < {end}"
        )


def _options(expires_ms: int) -> str:
    return f"OPTIONS (expiration_timestamp = TIMESTAMP_MILLIS({expires_ms}))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """Rows of a staged table that go into another one: their indexes, in order, as text with commas."""

    table: TableRef
    indexes: str
    begin: int  # the index of the first in the new table


def in_order(table: TableRef, column: str, wire_key: str, *, is_json: bool) -> str:
    """Return the query for (our key, the request as text) of a staged table, by index."""
    name, key = quoted_name(column), quoted_name(wire_key)
    text = f"TO_JSON_STRING({name})" if is_json else name
    index = rf"CAST(REGEXP_EXTRACT({key}, r'^r(\d+)-') AS INT64)"
    return f"SELECT {key}, {text} FROM {quoted(table)} ORDER BY {index}"


def successor(target: TableRef, handed: Sequence[Handed], wire_key: str, *, expires_ms: int) -> str:
    """Return the statement that makes a new table; ``@rows_0`` and so on are the indexes in each old one."""
    rows = "\nUNION ALL ".join(_handed(number, each, wire_key) for number, each in enumerate(handed))
    return f"CREATE TABLE {quoted(target)} {_options(expires_ms)} AS {rows}"


def _handed(number: int, one: Handed, wire_key: str) -> str:
    key = quoted_name(wire_key)
    return (  # its names are none that a producer's column can have
        f"SELECT vertexq_t.* EXCEPT ({key}), CONCAT('r', CAST({one.begin} + vertexq_nth AS STRING), "
        rf"REGEXP_REPLACE(vertexq_t.{key}, r'^r\d+', '')) AS {key} FROM {quoted(one.table)} AS vertexq_t "
        f"JOIN UNNEST(SPLIT(@rows_{number}, ',')) AS vertexq_old WITH OFFSET AS vertexq_nth "
        rf"ON REGEXP_EXTRACT(vertexq_t.{key}, r'^r(\d+)-') = vertexq_old"
    )


def columns_fault(columns: Sequence[TableColumn], form: TableForm, *, key_field: str, wire_key: str) -> str:
    """Say what is wrong with a table's columns; empty when a copy of it can be a job's input."""
    known = {each.name.lower(): each for each in columns}
    found = (*_request_faults(known, form), *_key_faults(known, key_field, wire_key))
    return next(iter(found), "")


def _request_faults(known: Mapping[str, TableColumn], form: TableForm) -> Iterator[str]:
    request, kinds = known.get(form.column), ("STRING",) if form.plain else ("JSON", "STRING")
    if request is None or request.kind not in kinds or request.mode == "REPEATED":
        yield f"it must have a column {form.column} of type {' or '.join(kinds)}, which holds the requests"
    for name in sorted({name.lower() for name in form.reserved} & known.keys()):
        yield f"its column {name} has a name that jobs write themselves; leave it out, or rename it"
    for name in known:
        if name.startswith(PREFIX):
            yield f"its column {name} begins with {PREFIX}, as our own do; leave it out, or rename it"


def _key_faults(known: Mapping[str, TableColumn], key_field: str, wire_key: str) -> Iterator[str]:
    key = known.get(key_field.lower())
    if key is not None and (key.kind not in _KEYS or key.mode == "REPEATED"):
        yield f"its column {key.name} holds the keys, which must be of type STRING or INT64"
    if key is None and key_field != "key":
        yield f"it has no column {key_field!r} that could hold the keys"
    if wire_key.lower() in known and wire_key.lower() != key_field.lower():
        yield f"its column {wire_key} stands where jobs have keys of ours; name it as the key, or rename it"


def key_column_of(columns: Sequence[TableColumn], key_field: str) -> str:
    """Return the name of the column with the producer's keys as the table writes it; empty without one."""
    return next((each.name for each in columns if each.name.lower() == key_field.lower()), "")


def _taken_column(column: TableColumn) -> str:
    """Return a column; types that do not come out of a job travel as text."""
    name = quoted_name(column.name)
    if column.mode == "REPEATED" or column.kind in _AS_JSON_TEXT:
        return f"IF({name} IS NULL, NULL, TO_JSON_STRING({name})) AS {name}"
    return f"CAST({name} AS STRING) AS {name}" if column.kind in _AS_TEXT else name


def quoted(ref: TableRef) -> str:
    """Return a table as GoogleSQL writes it."""
    return f"`{ref}`"


def quoted_name(name: str) -> str:
    """Return a column's name as GoogleSQL writes it."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
