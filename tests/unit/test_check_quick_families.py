"""The quick way of the check gives what the plain one does, for images, Claude and open models too."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vertexq.errors import BadSource
from vertexq.families import family_named
from vertexq.intake import Intake
from vertexq.lines import Block
from vertexq.model import Policy

VERSION = "vertex-2023-10-16"
texts = st.sampled_from(
    ["Hello", "", "  ", 'a "b" \\ c', "Zürich \u2028 x", "gs://b/a.jpg", "gs://b/a.txt", "x\0"]
)
contents: st.SearchStrategy[Any] = st.one_of(
    texts,
    st.none(),
    st.integers(0, 3),
    st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": texts})),
)
messages: st.SearchStrategy[Any] = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "x"]), "content": contents}
    ),
    max_size=3,
)
fields: dict[str, st.SearchStrategy[Any]] = {
    "messages": messages,
    "max_tokens": st.sampled_from([0, 1, 50, "9", None]),
    "anthropic_version": st.sampled_from([VERSION, 3]),
    "model": st.sampled_from(["m", 3]),
    "stream": st.booleans(),
    "tools": st.just([{"name": "f", "input_schema": {"properties": {}}}]),
    "content": texts,
    "mimeType": st.sampled_from(["image/jpeg", "image/svg", None]),
}
whole = {name: fields[name] for name in ("messages", "max_tokens", "anthropic_version", "model")}
requests: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries({}, optional=fields),
    st.permutations(list(whole)).flatmap(lambda names: st.fixed_dictionaries({n: whole[n] for n in names})),
    st.sampled_from([("content", "mimeType"), ("mimeType", "content")]).flatmap(
        lambda names: st.fixed_dictionaries({name: fields[name] for name in names})
    ),
)
rows: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries({"request": requests}),
    st.fixed_dictionaries({"prompt": texts}),
    requests,
    st.fixed_dictionaries({"key": st.sampled_from(["a", "b", 3]), "request": requests}),
)


def found(lines: list[bytes], family: str, parameters: dict[str, Any], *, quick: bool) -> Any:
    """Return all that the check gives of some lines."""
    policy = Policy(set_aside=True)
    intake = Intake(
        family_named(family),
        name="rows",
        policy=policy,
        quick=quick,
        parameters=parameters,
        model="meta/x-maas",
    )
    prepared = [row for line in lines for row in intake.block(Block(0, [line]))]
    try:
        verdict = intake.close()
    except BadSource as error:
        return prepared, str(error)
    return prepared, verdict.report, verdict.estimate


@pytest.mark.parametrize(
    ("family", "parameters"),
    [
        ("automl-image", {}),
        ("claude", {}),
        ("claude", {"max_tokens": 50}),
        ("open-model", {}),
        ("open-model", {"max_tokens": 50}),
    ],
)
@settings(max_examples=150, deadline=None)
@given(given_rows=st.lists(rows, min_size=1, max_size=6))
def test_both_ways_find_the_same(
    family: str, parameters: dict[str, Any], given_rows: list[dict[str, Any]]
) -> None:
    """Rows, requests, fingerprints, faults and estimates."""
    lines = [orjson.dumps(row) for row in given_rows for _ in range(2)]

    assert found(lines, family, parameters, quick=True) == found(lines, family, parameters, quick=False)
