"""An application that enqueues prompts for Gemini, waits, and reads its results.

It knows vertexq and nothing else; where the broker, the ledger and the stores are is in the environment
(config/example.env). Run it with ``python examples/enqueue.py --rows 2000``.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator

import vertexq

CITIES = ("Accra", "Bogotá", "Cairo", "Delhi", "Edinburgh", "Fukuoka", "Geneva", "Hanoi", "Izmir", "Jakarta")
SUBJECTS = ("bridge", "market", "river", "station", "garden", "harbour", "library", "tower")


def prompts(rows: int) -> Iterator[dict[str, str]]:
    """Yield small prompts, each with a key of its own: the key is how its result is found again."""
    pairs = itertools.cycle(itertools.product(CITIES, SUBJECTS))
    for number, (city, subject) in enumerate(itertools.islice(pairs, rows), start=1):
        yield {
            "key": f"city-{number:06d}",
            "prompt": f"Describe a {subject} in {city} in one sentence. This is question {number}.",
        }


def report(client: vertexq.Client, status: vertexq.Status) -> None:
    """Print what came of the rows, what they cost, the first results, and where all of them are."""
    took = f" after {(status.finished_at - status.created_at).seconds} s" if status.finished_at else ""
    print(f"\n{status.id} is {status.state}{took}{': ' + status.reason if status.reason else ''}\n")
    for outcome in vertexq.Outcome:
        print(f"  {outcome:<18}{getattr(status.counts, outcome):>12,} rows")
    for one in status.rounds:
        print(f"  {'tried again':<18}{one.rows:>12,} rows, {one.answered_rows:,} answered")
    print(f"  {'prompt tokens':<18}{status.usage.prompt_tokens:>12,}")
    print(f"  {'output tokens':<18}{status.usage.output_tokens + status.usage.thoughts_tokens:>12,}")
    print(f"  {'cost':<18}{status.cost:>16}\n")
    with_text = client.results(status.id, outcomes=[vertexq.Outcome.SUCCEEDED])
    for result in itertools.islice(with_text, 3):
        print(f"  {result.key}  {(result.text or '')[:80]!r}")
    print(f"\nThe results are in {client.where(status.id)}")


def main() -> int:
    """Enqueue, wait, report; return 0 when every row was answered."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=2_000, help="how many prompts (2000)")
    arguments.add_argument("--model", default="gemini-2.5-flash", help="the model (gemini-2.5-flash)")
    arguments.add_argument("--store", default="results", help="the store's name (results)")
    arguments.add_argument("--id", default=None, help="enqueue under this id; repeating it is safe")
    given = arguments.parse_args()
    with vertexq.Client() as client, vertexq.ProgressBar() as bar:
        submission = client.submit(prompts(given.rows), model=given.model, store=given.store, id=given.id)
        print(f"Enqueued {submission.rows:,} rows as {submission.id}")
        status = client.wait(submission.id, on_progress=bar)
        bar.close()
        report(client, status)
    return 0 if status.all_answered else 1


if __name__ == "__main__":
    raise SystemExit(main())
