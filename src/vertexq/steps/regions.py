"""Which places of Cloud Storage hold which regions of Vertex AI. No I/O.

Multi-regions and predefined dual-regions: https://cloud.google.com/storage/docs/locations (read 2026-11).
"""

from __future__ import annotations

from vertexq.google.messages import BucketInfo

_DUAL = {
    "nam4": ("us-central1", "us-east1"),
    "eur4": ("europe-north1", "europe-west4"),
    "eur5": ("europe-west1", "europe-west2"),
    "eur7": ("europe-west2", "europe-west3"),
    "eur8": ("europe-west3", "europe-west6"),
    "asia1": ("asia-northeast1", "asia-northeast2"),
}
_CONTINENTS = {"us": "us-", "eu": "europe-", "asia": "asia-"}
_NOT_IN_EU = frozenset({"europe-west2", "europe-west6"})  # London and Zurich are not in the multi-region EU


def holds(bucket: BucketInfo, location: str) -> bool | None:
    """Tell whether a bucket is where jobs of ``location`` run; None when that cannot be known.

    ``global`` has no place, so that every bucket is as near as any other.
    """
    place = bucket.location.lower()
    if location == "global":
        return True
    if not place:
        return None
    if bucket.regions:
        return any(_within(region.lower(), location) for region in bucket.regions)
    if place in _DUAL:
        return any(_within(region, location) for region in _DUAL[place])
    return _within(place, location)


def _within(place: str, location: str) -> bool:
    """Tell whether one is the other, or holds it: ``us`` holds ``us-central1``."""
    return place == location or _contains(place, location) or _contains(location, place)


def _contains(continent: str, region: str) -> bool:
    start = _CONTINENTS.get(continent)
    return start is not None and region.startswith(start) and not (continent == "eu" and region in _NOT_IN_EU)
