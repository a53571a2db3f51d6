"""What can be wrong with a row of a table, as conditions in GoogleSQL: the check without reading it. No I/O.

A condition sees ``vertexq_text``, the request as text, and ``vertexq_json``, the same as JSON (absent where a
family takes plain texts). It is true for rows that cannot be sent, and never an error.
https://docs.cloud.google.com/bigquery/docs/reference/standard-sql/json_functions
"""

from __future__ import annotations

from dataclasses import dataclass

from vertexq.check.faults import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCheck:
    """One fault: the condition ``sql``, and what a person is told of rows for which it is true."""

    rule: Rule
    sql: str
    text: str
    mend: str

    @property
    def reason(self) -> str:
        """Say why a row was set aside."""
        return f"{self.rule}: {self.text}"


ABSENT = TableCheck(
    rule=Rule.REQUEST,
    sql="vertexq_text IS NULL",
    text="there is no request",
    mend="fill it, or leave the row out",
)
NO_OBJECT = TableCheck(
    rule=Rule.NOT_JSON,
    sql="IFNULL(JSON_TYPE(vertexq_json), '') != 'object'",
    text="the request is no JSON object",
    mend="write it as one",
)
EMPTY_TEXT = TableCheck(
    rule=Rule.REQUEST, sql="TRIM(vertexq_text) = ''", text="the text is empty", mend="leave the row out"
)


def list_check(name: str) -> TableCheck:
    """Return the check that a request has objects in a list ``name``."""
    return TableCheck(
        rule=Rule.REQUEST,
        sql=f"IFNULL(ARRAY_LENGTH(JSON_QUERY_ARRAY(vertexq_json, '$.{name}')), 0) = 0",
        text=f'"{name}" must be a list with at least one object',
        mend=f'write "{name}": [{{…}}]',
    )


def first_number(*paths: str, default: int = 0) -> str:
    """Return the SQL of the first number at one of the paths in a request; of ``default`` without one."""
    values = (f"SAFE_CAST(JSON_VALUE(vertexq_json, '{path}') AS INT64)" for path in paths)
    return f"GREATEST(COALESCE({', '.join(values)}, {default}), {default})"


_EACH = "EXISTS(SELECT 1 FROM UNNEST(JSON_QUERY_ARRAY(vertexq_json, '$.contents')) AS content WHERE {})"
_PARTS = "JSON_QUERY_ARRAY(content, '$.parts')"
_NO_OBJECT_IN_PARTS = f"EXISTS(SELECT 1 FROM UNNEST({_PARTS}) AS part WHERE JSON_TYPE(part) != 'object')"
_CACHED = " OR ".join(
    f"JSON_QUERY(vertexq_json, '$.{name}') IS NOT NULL" for name in ("cachedContent", "cached_content")
)
GEMINI_CHECKS = (
    list_check("contents"),
    TableCheck(
        rule=Rule.PARTS,
        sql=_EACH.format(f"IFNULL(ARRAY_LENGTH({_PARTS}), 0) = 0 OR {_NO_OBJECT_IN_PARTS}"),
        text="parts must be an array of objects",
        mend='write "parts": [{"text": …}]',
    ),
    TableCheck(
        rule=Rule.ROLE,
        sql=_EACH.format("JSON_VALUE(content, '$.role') NOT IN ('user', 'model', 'function')"),
        text="the role must be user, model or function",
        mend="write user, or model for what the model said",
    ),
    TableCheck(
        rule=Rule.UNSUPPORTED,
        sql=_CACHED,
        text="explicit caching does not work in batch jobs",
        mend="leave cachedContent out",
    ),
)
_LIMIT = first_number("$.generationConfig.maxOutputTokens", "$.generation_config.max_output_tokens")
_CANDIDATES = first_number(
    "$.generationConfig.candidateCount", "$.generation_config.candidate_count", default=1
)
GEMINI_TOKENS = f"{_LIMIT} * {_CANDIDATES}"
"""``maxOutputTokens`` for each of ``candidateCount`` candidates."""
