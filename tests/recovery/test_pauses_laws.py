"""However many pauses, and wherever a leg breaks: one answer, exact, each call once, each leg paid once."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recovery.attempts import Played, play
from tests.support.effort import examples
from tokenstream import Retry, testing
from tokenstream._answer.accumulator import Accumulator
from tokenstream.events import Finish, MessageStart, Resumed
from tokenstream.message import Message
from tokenstream.recovery import Attempt

ASKED = {"messages": [{"role": "user", "content": "Go."}]}
FORMATS = ["anthropic", "bedrock-invoke", "gemini-interactions", "gemini"]
WORLDS = ["sync", "asyncio", "trio"]

texts = st.lists(st.sampled_from(["Oslo ", "ö🌊 ", "is ", "a\n", "town. "]), min_size=1, max_size=4)
legs = st.lists(texts, min_size=1, max_size=9)


class Server:
    """Writes an answer in legs; each request says by itself which leg it asks for.

    Args:
        written: The pieces of each leg; the last one also calls a tool.
        breaks: For some requests, by their number, how many chunks the server sends before it breaks off.
    """

    def __init__(self, format: str, written: list[list[str]], breaks: dict[int, int]) -> None:
        self.format, self.written, self.breaks = format, written, breaks
        self.asked = 0

    def __call__(self, attempt: Attempt) -> list[bytes]:
        if self.format.startswith("gemini"):
            request = attempt.request({"input": "Go.", "contents": []})
            token = request.get("continuation_token") or request.get("continuationToken")
            number = 0 if token is None else int(token)
        else:
            *_, last = attempt.request(ASKED)["messages"]
            number = 0 if last["role"] == "user" else len(last["content"])
        chunks = self.leg(number)
        self.asked += 1
        return chunks[: self.breaks.get(self.asked - 1)]

    def leg(self, number: int) -> list[bytes]:
        """Return one leg, of as many tokens as its number counts from one."""
        script = testing.script(id=f"id_{number}").text(*self.written[number])
        script = script.usage(input_tokens=10, output_tokens=number + 1)
        if number == len(self.written) - 1:
            chunks = script.tool_call("look", {"at": "Oslo"}, id="call_1").finish("tool_calls")
            return chunks.chunks(self.format)
        paused = script.finish("pause").chunks(self.format)
        # The token comes with the end, in the place where each of Google's APIs has it.
        token = json.dumps(str(number + 1)).encode()
        old, new = b'"status":"requires_continuation"', b'"continuation_token":' + token
        paused = [chunk.replace(old, old + b"," + new) for chunk in paused]
        old, new = b'"modelVersion"', b'"continuationToken":' + token
        return [
            chunk.replace(old, new + b"," + old) if b"CONTINUATION" in chunk else chunk for chunk in paused
        ]

    @property
    def text(self) -> str:
        return "".join(piece for leg in self.written for piece in leg)

    @property
    def tokens(self) -> int:
        return sum(range(1, len(self.written) + 1))


def check(server: Server, played: Played, message: Message) -> None:
    """Check what the reader has, which is one whole answer."""
    assert played.error is None
    assert (server.text, "complete", "tool_calls") == (message.text, message.ending, message.finish_reason)
    assert ["call_1"] == [call.id for call in message.tool_calls]
    assert len(server.written) == len(message.joined) + 1


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("format", FORMATS)
@examples(15)
@given(written=legs)
def test_any_number_of_pauses_is_one_answer(format: str, world: str, written: list[list[str]]) -> None:
    server = Server(format, written, {})
    played = play(world, [server] * len(written), Retry(attempts=9, pauses=8), format=format)

    check(server, played, played.message)
    counts = Counter(type(event) for event in played.given)
    assert (1, 1, len(written) - 1) == (counts[MessageStart], counts[Finish], counts[Resumed])
    usage = played.message.usage
    assert (10 * len(written), server.tokens) == (usage.input_tokens, usage.output_tokens)
    assert [*range(len(written))] == sorted(played.closed)
    folded = Accumulator()
    for event in played.given:
        folded.feed(event)
    assert (played.message.parts, usage) == (folded.message.parts, folded.message.usage)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("format", ["anthropic", "gemini"])
@examples(15)
@given(written=legs, cuts=st.lists(st.integers(0, 12), min_size=1, max_size=5))
def test_a_leg_may_break_anywhere(format: str, world: str, written: list[list[str]], cuts: list[int]) -> None:
    """The answer begins again where some of the leg was shown, and else the leg does: the text is exact."""
    # No model is asked to continue a text that has a call.
    written[0].insert(0, "<tool_call>")
    server = Server(format, written, dict(enumerate(cuts)))
    total = (len(cuts) + 1) * len(written)
    retry = Retry(attempts=len(cuts) + 1 + total, pauses=total, again=True, wait=0)
    played = play(world, [server] * total, retry, lambda stream: stream.text, format=format)

    check(server, played, played.message)
    assert server.text == "".join(played.given)
    assert [*range(server.asked)] == sorted(played.closed)
    assert server.asked == len(played.reports)
