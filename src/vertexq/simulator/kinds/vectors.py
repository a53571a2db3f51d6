"""Vectors of the simulated embedding models, made from the seed, the model and the text alone. No I/O."""

from __future__ import annotations

import math
import random
from array import array

DIGITS = 8


def vector(dice: random.Random, dimensions: int) -> list[float]:
    """Return a vector of length 1; the same dice give the same vector."""
    steps = array("h", dice.randbytes(2 * dimensions))
    length = math.hypot(*steps) or 1.0
    return [round(step / length, DIGITS) for step in steps]
