"""Ledgers to test against, fresh for each test, on SQLite and on a real PostgreSQL; and a certificate."""

from __future__ import annotations

import multiprocessing
import ssl
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.pool import Pool
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.contract.discovery_schemas import exchange_faults
from tests.contract.recording_proxy import Recording, recording
from vertexq.embedded import Postgres
from vertexq.ledger import Ledger
from vertexq.simulator.server import Simulator


@pytest.fixture
def schema_url(postgres: Postgres) -> str:
    """Return the URL of a schema that nobody has used; options may be added with &."""
    schema = f"s{uuid.uuid4().hex}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    return f"{postgres.url}?options=-csearch_path%3D{schema}"


@pytest.fixture
def postgres_ledger_url(schema_url: str) -> str:
    """Return the URL of a schema that nobody has used."""
    return schema_url


@pytest.fixture
def sqlite_ledger_url(tmp_path: Path) -> str:
    """Return the URL of a file that is not there yet, in a folder that is not there yet."""
    return f"sqlite:///{tmp_path}/fresh/ledger.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database; every test that asks for it runs on both kinds."""
    url: str = request.getfixturevalue(f"{request.param.replace('postgresql', 'postgres')}_ledger_url")
    return url


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """Open a fresh ledger."""
    opened = Ledger.open(ledger_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def processes() -> Iterator[Pool]:
    """Start four processes that race against one another; they import vertexq once."""
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        yield pool


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Give a server's context with a certificate it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begin = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(begin).not_valid_after(begin + timedelta(days=1))
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(pem + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.fixture
def proxy(simulator: Simulator) -> Iterator[Recording]:
    """Stand before a test's simulator; in the end, hold all that passed to the discovery document."""
    with recording(simulator.url) as record:
        yield record
    assert record.exchanges
    assert [fault for exchange in record.exchanges for fault in exchange_faults(exchange)] == []
