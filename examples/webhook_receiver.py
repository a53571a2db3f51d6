"""A receiver of vertexq's webhooks with nothing but the standard library: rows land in a SQLite file.

It verifies each signature by the Standard Webhooks specification, remembers the ids of messages in the same
transaction as their rows (a message may come more than once, always with the same id and body), and lets a
better row replace a worse one. Run it behind a server that speaks TLS:

    HOOK_SECRET=whsec_... python examples/webhook_receiver.py --port 8080 --db received.db
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import sqlite3
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TOLERANCE_S = 5 * 60
LARGEST_BYTES = 64 * 1024 * 1024
RANK = {"missing": 0, "quarantined": 1, "failed": 2, "blocked": 3, "succeeded": 4}
SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS answers (
    submission_id TEXT, key TEXT, outcome TEXT, attempt INTEGER, text TEXT, rank INTEGER,
    PRIMARY KEY (submission_id, key)
);
CREATE TABLE IF NOT EXISTS ends (submission_id TEXT PRIMARY KEY, state TEXT, cost_usd REAL);
"""
KEEP = """
INSERT INTO answers VALUES (:submission_id, :key, :outcome, :attempt, :text, :rank)
ON CONFLICT (submission_id, key) DO UPDATE SET
    outcome = excluded.outcome, attempt = excluded.attempt, text = excluded.text, rank = excluded.rank
WHERE (excluded.rank, excluded.attempt) > (answers.rank, answers.attempt)
"""


def is_genuine(secret: str, headers: Any, body: bytes, *, now_s: float) -> bool:
    """Tell whether one of the signatures is right and the message was sent a moment ago."""
    message_id, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not sent_at.isdecimal() or abs(now_s - int(sent_at)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
    right = "v1," + base64.b64encode(digest).decode()
    return any(hmac.compare_digest(right, one) for one in headers.get("webhook-signature", "").split(" "))


def take(database: Path, message_id: str, message: dict[str, Any]) -> None:
    """Keep what a message holds, once, in one transaction."""
    data = message["data"]
    db = sqlite3.connect(database, timeout=30)
    try:
        with db:
            if not db.execute("INSERT OR IGNORE INTO messages VALUES (?)", (message_id,)).rowcount:
                return
            rows: list[dict[str, Any]] = data["rows"] if message["type"] == "vertexq.rows" else []
            for row in rows:
                db.execute(KEEP, {"text": None, **row, "rank": RANK[row["outcome"]]})
            if message["type"].startswith("vertexq.submission."):
                values = (data["id"], data["state"], data["cost_usd"])
                db.execute("INSERT OR REPLACE INTO ends VALUES (?, ?, ?)", values)
    finally:
        db.close()


def handler_for(secret: str, database: Path) -> type[BaseHTTPRequestHandler]:
    """Return what answers requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers.get("content-length", 0))
            if size > LARGEST_BYTES:
                self.send_error(413)
                return
            body = self.rfile.read(size)
            if not is_genuine(secret, self.headers, body, now_s=time.time()):
                self.send_error(401, "the signature is not right, or too old")
                return
            take(database, self.headers["webhook-id"], json.loads(body))
            self.send_response(204)  # only now: an error before this line has the message sent again
            self.end_headers()

    return Handler


def main() -> None:
    """Receive until it is stopped."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=8080)
    arguments.add_argument("--db", type=Path, default=Path("received.db"))
    given = arguments.parse_args()
    with sqlite3.connect(given.db) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(SCHEMA)
    db.close()
    server = ThreadingHTTPServer(("127.0.0.1", given.port), handler_for(os.environ["HOOK_SECRET"], given.db))
    print(f"receiving on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
