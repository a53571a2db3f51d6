"""The settings: what the environment says, read in one place."""

from vertexq.settings.environment import Settings
from vertexq.settings.variables import NO_LEDGER, NUMBERS, STORE_PREFIX, VARIABLES

__all__ = ["NO_LEDGER", "NUMBERS", "STORE_PREFIX", "VARIABLES", "Settings"]
