"""Counts in words."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Word a count: "1 shard", "2 shards", "1,234 shards"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
