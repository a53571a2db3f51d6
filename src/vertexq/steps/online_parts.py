"""What an online batch has written so far: objects of a few rows each, that say which rows they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vertexq.errors import Conflict, PreconditionFailed
from vertexq.model import Batch, GcsUri
from vertexq.steps.services import Services

_ROWS = "vertexq-rows"


@dataclass(slots=True)
class WrittenParts:
    """Rows of a batch that have their line, by index, and how many objects hold them."""

    prefix: GcsUri
    rows: set[int] = field(default_factory=set[int])
    parts: int = 0

    @classmethod
    async def of(cls, services: Services, batch: Batch) -> WrittenParts:
        """List what is there; an object's metadata says which rows it holds."""
        found = cls(prefix=GcsUri.parse(batch.output_prefix.rstrip("/") + "/"))
        async for item in services.storage.list(found.prefix):
            found.rows |= {int(index) for index in item.metadata.get(_ROWS, "").split()}
            found.parts += 1
        return found

    async def add(self, services: Services, lines: Mapping[int, bytes]) -> None:
        """Write one more object; raise ``Conflict`` when another worker was first, which nobody repeats."""
        uri = self.prefix.join(f"predictions_{self.parts + 1:05d}.jsonl")
        try:
            await services.storage.upload(
                uri,
                b"".join(lines.values()),
                if_generation_match=0,
                content_type="application/jsonl",
                metadata={_ROWS: " ".join(map(str, lines))},
            )
        except PreconditionFailed as error:
            raise Conflict(
                f"{uri} is there already; another worker has answered rows of this batch"
            ) from error
        self.rows |= lines.keys()
        self.parts += 1
