"""The bounds of the rounds and of the seed that a request gives."""

from __future__ import annotations

import secrets

from app.errors import Invalid
from app.rounds.schedule import SEED_MAX
from app.statistics.decision import ROUNDS_MAX


def check_rounds(rounds: int, seed: int | None) -> int:
    """Return the seed, or a new one if it is None. Raises Invalid if one of both is out of its bounds."""
    for name, value, low, high in (("rounds", rounds, 1, ROUNDS_MAX), ("seed", seed, 0, SEED_MAX)):
        if value is not None and not low <= value <= high:
            raise Invalid.field(
                f"/{name}", f"{name} must be a whole number from {low} to {high:,} (given: {value:,})."
            )
    return secrets.randbelow(SEED_MAX + 1) if seed is None else seed
