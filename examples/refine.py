"""Stop an answer that takes a wrong turn, and ask again with a better request.

A local server is asked about mercury, and begins to describe the planet; a guard
notices that after twelve words. The second request says what was meant.
"""

from tokenstream import Message, connect, testing
from tokenstream.testing import faults

PLANET = (
    "Mercury is the planet that is nearest to the sun, and the smallest of all eight. "
    "A year takes it 88 days, "
    "and a day from one sunrise to the next takes 176 of ours. "
) * 20
METAL = (
    "Mercury melts at 38.8 degrees below zero, "
    "and so it is the one metal that is liquid in a room. "
)
ONE_BY_ONE = faults.slow(0.005)  # seconds between two words, as from a model


def answer(request: testing.Request) -> testing.Script:
    """Answer as a model does: with the planet, unless the question names the metal."""
    words = METAL if "metal" in request.json["messages"][-1]["content"] else PLANET
    return testing.script().text(*[f"{word} " for word in words.split()]).finish("stop")


def wrong_turn(message: Message) -> str | None:
    """Return the reason to stop an answer; None if its beginning is fine."""
    return "I meant the metal, not the planet" if "planet" in message.text else None


question = "When does mercury melt?"
with testing.serve(answer, fault=ONE_BY_ONE) as server:
    for _ in range(3):  # a better request may not be good enough, either
        payload = {"messages": [{"role": "user", "content": question}], "stream": True}
        print(f"? {question}")
        with connect(f"{server.url}/v1/chat/completions", json=payload) as stream:
            for piece in stream.guard(wrong_turn, first_tokens=12).text:
                print(piece, end="", flush=True)
        words = len(stream.message.text.split())
        print(f"\n  [{stream.message.ending} after {words} words]")
        if stream.stop_reason is None:
            break
        question = f"{question} {stream.stop_reason}."
