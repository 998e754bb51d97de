"""The cases: what the first provider does wrong, how often, and what the second one speaks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tests.compare.conformance.digest import digest_of

TRUTH = (
    "A river does not mind a stone. It parts, goes around it, and is one river again by the evening. "
    "What falls into it is carried for a while, and then put down on a bank where nobody had looked for it."
)
"""The text that both providers answer with."""
BEFORE = "I will remove the old folder, as you asked."
"""The text before a call."""
CALL = "remove"
ARGUMENTS = {"path": "/srv/cache/old", "recursive": True}
FRAGMENTS = ('{"path": "/srv/ca', 'che/old", "recursive": true}')
"""The arguments as they are streamed; only the first half comes of a call that is cut."""
Scenario: TypeAlias = Literal["once", "chat", "anthropic"]
_ALWAYS: tuple[Scenario, ...] = ("chat", "anthropic")
SCENARIOS: tuple[Scenario, ...] = ("once", *_ALWAYS)
"""When the first provider fails: only at the first request, or always; then, the other one's API."""


@dataclass(frozen=True)
class Answer:
    """A whole answer, with which the results are compared."""

    question: str
    text: str = ""
    calls: bool = False
    """True if it ends with the call."""


ANSWERS = {
    "text": Answer("Tell me of rivers.", TRUTH),
    "call": Answer("Remove the old folder.", "", calls=True),
    "text and call": Answer("Say what you do, then remove the old folder.", BEFORE, calls=True),
}


@dataclass(frozen=True)
class Fault:
    """Something that the first provider does instead of answering."""

    name: str
    sends: str
    """The words of the page for what the provider sends."""
    answer: str = "text"
    """Which answer is asked for."""
    scenarios: tuple[Scenario, ...] = SCENARIOS


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("refused", "nothing listens at the address", scenarios=_ALWAYS),
        Fault("reset first", "the connection is reset before the first byte of the response"),
        Fault("503", "status 503 with `Retry-After: 1`"),
        Fault("401", "status 401", scenarios=_ALWAYS),
        Fault("reset", "half of the text, then the connection is reset"),
        Fault("stall", "half of the text, then nothing more over an open connection"),
        Fault("error event", "half of the text, then an error event, and a clean end of the response"),
        Fault("early end", "half of the text, then a clean end of the response, without a finish reason"),
        Fault("html", "status 200 with an HTML page"),
        Fault("cut call", "a call with half of its arguments, then a clean end", answer="call"),
        Fault(
            "text, cut call",
            "a text, a call with half of its arguments, then a clean end",
            answer="text and call",
        ),
    )
}


@dataclass(frozen=True)
class Case:
    scenario: Scenario
    fault: Fault

    @property
    def answer(self) -> Answer:
        return ANSWERS[self.fault.answer]


CASES = [
    Case(scenario, fault)
    for scenario in SCENARIOS
    for fault in FAULTS.values()
    if scenario in fault.scenarios
]


def digest(cases: Iterable[Case] = CASES) -> str:
    return digest_of([[*map(repr, cases)], [*map(repr, ANSWERS.values())], ARGUMENTS, FRAGMENTS])
