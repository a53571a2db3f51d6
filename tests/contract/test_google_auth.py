"""Every kind of credential that Application Default Credentials know gets a token; none of it is told."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import google.auth.exceptions
import google.auth.impersonated_credentials
import google.oauth2.credentials
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.contract.loopback import Heard, answer, in_turn, json_answer, listening
from vertexq.errors import Refused, Unreachable, VertexqError
from vertexq.google.auth import Tokens, default_tokens

TOKEN = "ya29.secret"

# google-auth has half its types; taken as Any it does not spoil those of the tests.
impersonated: Any = google.auth.impersonated_credentials
user: Any = google.oauth2.credentials
exceptions: Any = google.auth.exceptions


def giving(token: str = TOKEN, *, lasting_s: int = 3600) -> bytes:
    """Return the answer of a token server."""
    return json_answer({"access_token": token, "expires_in": lasting_s, "token_type": "Bearer"})


@pytest.fixture(scope="module")
def private_key() -> str:
    """Make a key as Google gives them to service accounts."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return pem.decode()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand on a machine without a gcloud login and outside Google Cloud."""
    for name in list(os.environ):
        if name.startswith(("GOOGLE_", "CLOUDSDK_", "GCE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")  # without it google-auth asks Google for the project
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    return tmp_path


def log_in(home: Path, monkeypatch: pytest.MonkeyPatch, said: Mapping[str, object]) -> None:
    """Point GOOGLE_APPLICATION_CREDENTIALS to a file that holds ``said``."""
    file = home / "credentials.json"
    file.write_text(json.dumps(said))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))


def service_account(token_uri: str, private_key: str) -> dict[str, object]:
    """Return a service account's key file."""
    return {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "k",
        "private_key": private_key,
        "client_email": "worker@p.iam.gserviceaccount.com",
        "token_uri": token_uri,
    }


LOGIN = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
ACCOUNT = "/v1/projects/-/serviceAccounts/worker@p.iam.gserviceaccount.com:generateAccessToken"


def login(token_uri: str, *, quota_project_id: str | None = None) -> Tokens:
    """Return the tokens of a user's login; its file cannot name another token server than Google's."""
    credentials = user.Credentials(
        token=None,
        refresh_token="r",
        token_uri=token_uri,
        client_id="c",
        client_secret="s",
        quota_project_id=quota_project_id,
    )
    return Tokens(credentials)


async def test_many_calls_share_one_token(
    home: Path, monkeypatch: pytest.MonkeyPatch, private_key: str
) -> None:
    """Twenty calls at once with a service account's key fetch one token, for the cloud-platform scope."""
    async with listening(in_turn(giving())) as server:
        log_in(home, monkeypatch, service_account(server.url, private_key))
        tokens = await default_tokens(emulator=False)
        headers = await asyncio.gather(*(tokens.header() for _ in range(20)))

    assert headers == [{"authorization": f"Bearer {TOKEN}"}] * 20
    assert len(server.heard) == 1
    assert "assertion" in parse_qs(server.heard[0].body.decode())
    assert TOKEN not in repr(tokens)


async def test_a_login_gets_a_token() -> None:
    """A user's login is refreshed with its refresh token."""
    async with listening(in_turn(giving())) as server:
        headers = await login(server.url).header()

    assert headers == {"authorization": f"Bearer {TOKEN}"}
    assert parse_qs(server.heard[0].body.decode())["refresh_token"] == ["r"]


async def test_a_quota_project_is_sent_along() -> None:
    """The project that pays for the quota is a header."""
    async with listening(in_turn(giving())) as server:
        headers = await login(server.url, quota_project_id="payer").header()

    assert headers["x-goog-user-project"] == "payer"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (LOGIN, "google.oauth2.credentials.Credentials"),
        (
            {
                "type": "impersonated_service_account",
                "source_credentials": LOGIN,
                "service_account_impersonation_url": f"https://iamcredentials.googleapis.com{ACCOUNT}",
            },
            "google.auth.impersonated_credentials.Credentials",
        ),
    ],
)
async def test_files_of_gcloud_are_understood(
    home: Path, monkeypatch: pytest.MonkeyPatch, said: Mapping[str, object], kind: str
) -> None:
    """What ``gcloud auth application-default login`` writes is taken, without a warning."""
    log_in(home, monkeypatch, said)

    assert repr(await default_tokens(emulator=False)) == f"<Tokens {kind}>"


async def test_workload_identity_gets_a_token(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of another provider is exchanged, then the service account is impersonated."""

    def answering(heard: Heard) -> bytes:
        if heard.target == "/sts":
            assert parse_qs(heard.body.decode())["subject_token"] == ["from-elsewhere"]
            return giving("federated")
        assert heard.headers["authorization"] == "Bearer federated"
        return json_answer({"accessToken": TOKEN, "expireTime": "2100-01-01T00:00:00Z"})

    async with listening(answering) as server:
        said = federated(home, server.url) | {"service_account_impersonation_url": server.url + ACCOUNT}
        log_in(home, monkeypatch, said)
        headers = await (await default_tokens(emulator=False)).header()

    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert [heard.target for heard in server.heard] == ["/sts", ACCOUNT]


async def test_an_exchange_that_is_refused_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """google-auth exchanges the token already when it looks for a project that no variable names."""
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    said = {"error": "invalid_grant", "error_description": "The audience does not match."}
    async with listening(in_turn(json_answer(said, 400))) as server:
        log_in(home, monkeypatch, federated(home, server.url))
        with pytest.raises(Refused, match=r"The audience does not match\.; log in again"):
            await default_tokens(emulator=False)


def federated(home: Path, url: str) -> dict[str, object]:
    """Return the credentials file of workload identity federation, with the token of another provider."""
    (home / "subject").write_text("from-elsewhere")
    return {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{url}/sts",
        "credential_source": {"file": str(home / "subject")},
    }


async def test_an_impersonated_account_gets_a_token() -> None:
    """A login that acts for a service account asks for that account's token with its own."""

    def answering(heard: Heard) -> bytes:
        if "authorization" not in heard.headers:
            return giving("of-the-user")
        return json_answer({"accessToken": TOKEN, "expireTime": "2100-01-01T00:00:00Z"})

    async with listening(answering) as server:
        source = user.Credentials(
            token=None, refresh_token="r", token_uri=server.url, client_id="c", client_secret="s"
        )
        credentials = impersonated.Credentials(
            source_credentials=source,
            target_principal="worker@p.iam.gserviceaccount.com",
            target_scopes=["https://www.googleapis.com/auth/cloud-platform"],
            iam_endpoint_override=f"{server.url}/impersonate",
        )
        headers = await Tokens(credentials).header()

    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert [heard.target for heard in server.heard] == ["/", "/impersonate"]


async def test_the_metadata_server_gives_a_token(home: Path) -> None:
    """On Google Cloud, with no file at all, the token comes from the metadata server."""

    def answering(heard: Heard) -> bytes:
        if heard.target.startswith("/computeMetadata/v1/instance/service-accounts/default/token"):
            return json_answer(
                {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}, Metadata_Flavor="Google"
            )
        if heard.target.startswith("/computeMetadata/v1/instance/service-accounts/"):
            return json_answer({"email": "default", "scopes": []}, Metadata_Flavor="Google")
        return answer(200, b"project", Content_Type="application/text", Metadata_Flavor="Google")

    async with listening(answering) as server:
        host = server.url.removeprefix("http://")
        said = await told_apart({"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}, home)

    assert said == f"{{'authorization': 'Bearer {TOKEN}'}}"


async def test_no_credentials_get_a_sentence(home: Path) -> None:
    """Without any credentials the error lists what was tried and what to do."""
    said = await told_apart({"NO_GCE_CHECK": "true"}, home)

    assert said.startswith("Unreachable: no Google credentials: ")
    for word in (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "gcloud auth application-default login",
        "metadata server",
    ):
        assert word in said


async def told_apart(environ: Mapping[str, str], home: Path) -> str:
    """Ask for the header in a process of its own: google-auth reads these variables when it is imported."""
    script = (
        "import asyncio\nfrom vertexq.errors import VertexqError\n"
        "from vertexq.google.auth import default_tokens\n"
        "async def ask(): return await (await default_tokens(emulator=False)).header()\n"
        "try: print(asyncio.run(ask()))\n"
        "except VertexqError as error: print(f'{type(error).__name__}: {error}')\n"
    )
    kept = {"PATH": os.environ["PATH"], "CLOUDSDK_CONFIG": str(home), "HOME": str(home)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, env={**kept, **environ}, stdout=subprocess.PIPE
    )
    out, _ = await process.communicate()
    return out.decode().strip()


@pytest.mark.parametrize("content", ["", "{", '{"type": "unknown"}', '{"type": "service_account"}', "[]"])
async def test_a_broken_credentials_file_gets_a_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    """A file that holds no credentials is named, and what to do is said."""
    file = home / "broken.json"
    file.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))

    with pytest.raises(Unreachable, match=r"no Google credentials: .*run 'gcloud auth"):
        await default_tokens(emulator=False)


async def test_a_missing_credentials_file_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path that GOOGLE_APPLICATION_CREDENTIALS names stands in the error."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(home / "nowhere.json"))

    with pytest.raises(Unreachable, match=r"nowhere\.json was not found"):
        await default_tokens(emulator=False)


async def test_an_emulator_needs_no_credentials(home: Path) -> None:
    """With an emulator nothing is looked for and nothing is sent."""
    assert await (await default_tokens(emulator=True)).header() == {}


async def test_a_revoked_login_is_refused() -> None:
    """Trying again cannot help: Refused, with Google's reason and none of the secrets."""
    said = {
        "error": "invalid_grant",
        "error_description": "Token has been expired or revoked.",
        "id_token": TOKEN,
    }
    async with listening(in_turn(json_answer(said, 400))) as server:
        tokens = login(server.url)
        with pytest.raises(Refused, match=r"expired or revoked.*log in again") as caught:
            await tokens.header()

    assert caught.value.__cause__ is None
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("said", [None, answer(400, b"<html>a proxy"), json_answer([1])])
async def test_a_token_server_that_is_away_is_unreachable(said: bytes | None) -> None:
    """A cut, a proxy's page or nonsense can pass: Unreachable, which is tried again."""
    async with listening(in_turn(said)) as server:
        tokens = login(server.url)
        with pytest.raises(Unreachable, match=r"no access token from Google now|cannot be read"):
            await tokens.header()


class Ageing:
    """Credentials with ``left_s`` to live (None: for ever), and a token server that works or fails."""

    def __init__(self, left_s: float | None, failure: Exception | None = None) -> None:
        self.token: str | None = "old"
        self.expiry: datetime | None = None
        if left_s is not None:
            self.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=left_s)
        self._failure = failure

    def refresh(self, request: object) -> None:
        """Fetch a token for an hour, or fail."""
        del request
        if self._failure is not None:
            raise self._failure
        self.token, self.expiry = "new", datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)

    def apply(self, headers: dict[str, str]) -> None:
        """Write the token."""
        headers["authorization"] = f"Bearer {self.token}"


AWAY: Exception = exceptions.TransportError("away")
WRONG: Exception = exceptions.InvalidValue("no scopes")


@pytest.mark.parametrize(
    ("left_s", "failure", "sent"),
    [(240, None, "old"), (220, None, "new"), (220, AWAY, "old"), (220, WRONG, "old"), (None, AWAY, "old")],
    ids=["good", "old", "old and away", "old and wrong", "for ever"],
)
async def test_a_token_is_refreshed_before_it_expires(
    left_s: float | None, failure: Exception | None, sent: str
) -> None:
    """From 225 s before the end a new one is fetched; while the old one is good a failure is no error."""
    tokens = Tokens(Ageing(left_s, failure))

    for _ in range(2):
        assert await tokens.header() == {"authorization": f"Bearer {sent}"}


@pytest.mark.parametrize(
    ("failure", "ours"), [(AWAY, Unreachable), (WRONG, Refused), (KeyError("content-type"), Unreachable)]
)
async def test_an_expired_token_is_not_sent(failure: Exception, ours: type[VertexqError]) -> None:
    """When the old token is dead and no new one comes, the call ends before it is made."""
    with pytest.raises(ours):
        await Tokens(Ageing(-1, failure)).header()


async def test_one_who_gives_up_does_not_end_it_for_the_others() -> None:
    """A caller who is cancelled while waiting leaves the refresh to those who still wait."""
    async with listening(in_turn(giving())) as server:
        tokens = login(server.url)
        first, second = (asyncio.create_task(tokens.header()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()

        assert await second == {"authorization": f"Bearer {TOKEN}"}

    assert first.cancelled()
    assert len(server.heard) == 1
