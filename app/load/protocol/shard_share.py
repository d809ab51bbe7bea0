"""Which share of a load a shard has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShardShare:
    """The share of the shard number `index`, counted from 0, of `shards`.

    Items are distributed round-robin.
    """

    index: int = 0
    shards: int = 1

    def portion(self, total: int) -> int:
        """Return how many of `total` items this shard has; the portions of all shards add up to `total`."""
        return (total + self.shards - 1 - self.index) // self.shards
