"""Which part of a load a shard has: everything is dealt in turn, like cards, so that the parts add up exactly."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShardShare:
    """The shard `number`, counted from 0, of so many."""

    index: int = 0
    shards: int = 1

    def portion(self, total: int) -> int:
        """How many of `count` things fall to this shard; the shares of all shards add up to `count`."""
        return (total + self.shards - 1 - self.index) // self.shards
