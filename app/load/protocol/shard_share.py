"""Which part of a load a shard has: everything is dealt in turn, like cards, so that the parts add up exactly."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """The shard `number`, counted from 0, of so many."""

    number: int = 0
    of: int = 1

    def share(self, count: int) -> int:
        """How many of `count` things fall to this shard; the shares of all shards add up to `count`."""
        return (count + self.of - 1 - self.number) // self.of
