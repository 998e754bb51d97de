"""The draw of a case: an answer, those who give it, what goes wrong, and a reader who may leave."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from tokenstream import Message

TEXT = (
    "The tide comes in twice a day — it lifts the boats, turns them round, and lays them down again.\n\n"
    "- the moon pulls\n- the sea follows\n\n„Wohin?“ fragt das Kind, und 潮 heißt Flut. Then it is quiet."
)
JSON = '{"tide": "high", "metres": 4, "boats": ["Anna", "Ebbe"], "quiet": true}'
THOUGHTS = "The child asks about tides, so I begin with the moon."
CALLS: dict[str, dict[str, Any]] = {"moor": {"boat": "Anna", "ropes": 4}, "signal": {"light": "green"}}
FORMATS = ("openai-chat", "anthropic", "gemini", "openai-responses", "ollama")
KINDS: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "JSON": ("text",),
    "thoughts": ("thoughts", "text"),
    "call": ("moor",),
    "text and call": ("text", "moor"),
    "calls": ("moor", "signal"),
    "text and calls": ("text", "moor", "signal"),
}
"""Parts of an answer: its text, its thoughts, and calls by their tools."""
CUTS = ("reset", "early end", "clean end", "silence", "error event")
VIEWS = ("text", "sentences", "events", "tool_calls", "validated_calls", "final")
_ITEM_LEAVES = ("break", "close", "stop", "raise")


@dataclass(frozen=True)
class Fault:
    name: str = "none"
    """A cut, as in `CUTS`; "status", or "later" for one that names a wait, "page", "connect", "nothing" for
    an empty body, or "none"."""
    place: float = 0.0
    """How far the answer comes before it is cut, from 0 to 1."""
    status: int = 503

    @classmethod
    def draw(cls, chance: random.Random) -> Fault:
        name = chance.choice(["none"] * 3 + [*CUTS] * 2 + ["status", "refused", "page", "connect", "nothing"])
        if name == "refused":
            return cls("status", status=chance.choice([401, 403, 404]))
        place = chance.choice([chance.random(), chance.random() ** 0.3])
        status = chance.choice([429, 500, 502, 503, 529])
        return cls("later" if (name, status) == ("status", 429) and place < 0.5 else name, place, status)


@dataclass(frozen=True)
class Plan:
    """A route: its API, its attempts, and what goes wrong with each of its responses."""

    format: Any
    attempts: int
    faults: tuple[Fault, ...]
    delay: int

    @classmethod
    def draw(cls, chance: random.Random) -> Plan:
        attempts = chance.randint(1, 3)
        faults = tuple(Fault.draw(chance) for _ in range(attempts + 2))
        return cls(chance.choice(FORMATS), attempts, faults, chance.choice([0, 0, 5, 60]))


@dataclass(frozen=True)
class Leave:
    """How a reader leaves, and when."""

    how: str
    """By `break`, `close`, `stop`, by an exception ("raise"), or by the end of a "task" or of a "scope"."""
    gate: str
    """Each "item" that is read, each step on the "wire", each of a "purse" in a file or in Redis, or each
    "turn" of the event loop."""
    count: int

    @classmethod
    def draw(cls, chance: random.Random, world: str, *, has_purse: bool) -> Leave | None:
        if chance.random() < 0.5:
            return None
        gates = ["item", "wire"] + ["turn"] * (world != "sync") + ["purse"] * (2 * has_purse)
        gate = chance.choice(gates)
        cancels = () if world == "sync" else ("task", "scope")
        ways = (*_ITEM_LEAVES, *cancels) if gate == "item" else ("stop", *cancels, *cancels)
        most = {"item": 12, "wire": 40, "purse": 6, "turn": 150}[gate]
        return cls(chance.choice(ways), gate, chance.randint(1, most))


@dataclass(frozen=True)
class Draw:
    """A case; the same seed draws the same one."""

    seed: int
    world: str
    kind: str
    routes: tuple[Plan, ...]
    asks_again: bool
    hedge_after: float | None
    purse: str | None
    """The place of the purse: "memory", "file", "redis", or "bound" for `Retry.most` as a number; None for
    answers without any price."""
    most: float
    store: str
    """The place of the store of calls: "memory" or "redis"."""
    view: str
    model: str
    """What a model does that is asked to go on with an answer whose call was cut: it "calls again", "stops",
    or writes "prose"."""
    is_background: bool
    """True if Responses are kept by their provider, which can be asked for the rest."""
    is_judged: bool
    """True if `accept` asks for the whole answer, so that nothing is given before it is there."""
    skipped: int | None
    """The number of the attempt that `on_retry` skips; None if it skips none."""
    leave: Leave | None
    returns: bool
    """True if another process asks again after an error or a leave, with the same store."""
    piece: int

    @classmethod
    def of(cls, seed: int) -> Draw:
        chance = random.Random(f"law {seed}")
        world = chance.choice(["sync", "asyncio", "trio"])
        count = chance.choice([1, 2, 2, 3])
        purse = chance.choice([None, "bound", "memory", "file", "redis", "file", "redis"])
        return cls(
            seed=seed,
            world=world,
            kind=chance.choice(["text", "text", "text and call", "text and call", *KINDS]),
            routes=tuple(Plan.draw(chance) for _ in range(count)),
            asks_again=chance.random() < 0.4,
            hedge_after=None if world == "sync" or count == 1 else chance.choice([None, None, 0.0, 0.001]),
            purse=purse,
            most=chance.choice([1_000.0, 1_000.0, 0.3 if purse == "bound" else 3.0]),
            store=chance.choice(["memory", "redis"]),
            view=chance.choice(VIEWS),
            model=chance.choice(["calls again", "calls again", "stops", "prose"]),
            is_background=chance.random() < 0.7,
            is_judged=chance.random() < 0.15,
            skipped=chance.choice([None, None, None, 2, 3]),
            leave=Leave.draw(chance, world, has_purse=purse in ("file", "redis")),
            returns=chance.random() < 0.5,
            piece=chance.choice([3, 11, 40]),
        )

    def again(self) -> Draw:
        """Return the draw of another process that asks for the same answer, and stays."""
        routes = Draw.of(self.seed + 1_000_000_007).routes
        return replace(self, routes=routes, hedge_after=None, leave=None)

    @property
    def calls(self) -> list[tuple[str, Any]]:
        """The calls of the whole answer, by tool and arguments."""
        return [(name, CALLS[name]) for name in KINDS[self.kind] if name in CALLS]

    def accepts(self, message: Message) -> bool:
        """Return True for the whole answer."""
        return message.text == self.text and len(message.tool_calls) == len(self.calls)

    @property
    def text(self) -> str:
        return "" if "text" not in KINDS[self.kind] else JSON if self.kind == "JSON" else TEXT
