"""What the simulated Cloud Storage answers is what Google's discovery document promises."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

from tests.contract.discovery_schemas import discovery_document, faults_of
from vertexq.simulator.server import Simulator

Json = Mapping[str, Any]
DOCUMENT = discovery_document("storage.v1")
SCHEMAS: Json = DOCUMENT["schemas"]
OBJECT = "/storage/v1/b/prompts/o"
RIGHTS = "/storage/v1/b/prompts/iam/testPermissions"
POLICY = [{"role": "roles/storage.objectViewer", "members": ["allUsers"]}]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Give a plain HTTP client for a simulator with one rich object, ``d/a``."""
    async with Simulator(buckets=["prompts"]) as simulator, aiohttp.ClientSession(simulator.url) as session:
        query = {"uploadType": "resumable", "name": "d/a"}
        resource = {"contentType": "text/x", "cacheControl": "no-store", "metadata": {"k": "v"}}
        async with session.post(f"/upload{OBJECT}", params=query, json=resource) as answer:
            location = answer.headers["Location"]
        async with session.put(location, data=b"bytes") as answer:
            assert answer.status == 200
        yield session


@pytest.mark.parametrize(
    ("verb", "path", "body", "method"),
    [
        ("GET", "/storage/v1/b", None, "buckets.list"),
        ("GET", "/storage/v1/b/prompts", None, "buckets.get"),
        ("POST", "/storage/v1/b?project=p", {"name": "other"}, "buckets.insert"),
        ("GET", "/storage/v1/b/prompts/iam?optionsRequestedPolicyVersion=3", None, "buckets.getIamPolicy"),
        ("PUT", "/storage/v1/b/prompts/iam", {"bindings": POLICY}, "buckets.setIamPolicy"),
        ("GET", f"{RIGHTS}?permissions=storage.objects.get", None, "buckets.testIamPermissions"),
        ("GET", OBJECT, None, "objects.list"),
        ("GET", f"{OBJECT}?delimiter=/", None, "objects.list"),
        ("GET", f"{OBJECT}/d%2Fa", None, "objects.get"),
        ("POST", f"/upload{OBJECT}?uploadType=media&name=b", {}, "objects.insert"),
        ("PATCH", f"{OBJECT}/d%2Fa", {"contentType": "text/y"}, "objects.patch"),
        ("PUT", f"{OBJECT}/d%2Fa", {"contentType": "text/y"}, "objects.update"),
        ("POST", f"{OBJECT}/c/compose", {"sourceObjects": [{"name": "d/a"}]}, "objects.compose"),
        ("POST", f"{OBJECT}/d%2Fa/rewriteTo/b/prompts/o/e", None, "objects.rewrite"),
        ("POST", f"{OBJECT}/d%2Fa/copyTo/b/prompts/o/e", None, "objects.copy"),
    ],
)
async def test_an_answer_is_what_its_method_promises(
    http: aiohttp.ClientSession, verb: str, path: str, body: Json | None, method: str
) -> None:
    """Every field is known, of its type, and an int64 is a string of digits."""
    resource, name = method.split(".")
    described: Json = DOCUMENT["resources"][resource]["methods"][name]
    assert described["httpMethod"] == verb

    async with http.request(verb, path, json=body) as answer:
        found = await answer.json()

    assert answer.status == 200
    assert faults_of(found, described["response"], method, SCHEMAS) == []


async def test_the_check_sees_what_is_wrong(http: aiohttp.ClientSession) -> None:
    """A number that should be text and a field nobody knows are both found."""
    async with http.get(f"{OBJECT}/d%2Fa") as answer:
        found = await answer.json()

    spoiled = {**found, "size": 5, "colour": "red", "generation": "x"}

    assert faults_of(spoiled, {"$ref": "Object"}, "o", SCHEMAS) == [
        "o.generation: 'x' is no int64",
        "o.size: 5 is no string",
        "o.colour: unknown",
    ]
