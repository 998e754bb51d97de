"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Args:
        events: Pieces of text in a body.
        seconds: How long each table may take, beyond its rounds.
        rounds: How often every contender has its turn at least.
        readers: Readers that follow one answer.
        imports: Processes for each import.
        documents: Characters of the JSON documents that grow.
        objects: Objects of the list that fills in.
        streams: Answers that a server gives at once.
        tokens: Tokens of each of them.
    """

    events: int = 2_000
    seconds: float = 8.0
    rounds: int = 20
    readers: int = 1_000
    imports: int = 15
    documents: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
    objects: int = 1_000
    streams: int = 100
    tokens: int = 250
