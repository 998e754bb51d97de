"""What may be asked for again depends on what was delivered to a reader, and not on what has arrived."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recovery.attempts import in_each_world
from tests.recovery.unseen import (
    FINAL,
    READERS,
    STORY,
    THOUGHTS,
    URLS,
    Harbour,
    Seen,
    Teller,
    chunks_of,
    cut_at,
    read,
    read_together,
    text_sent_back,
)
from tests.support.responses import streamed
from tests.support.tables import in_one_test
from tokenstream import Retry, Route, Router, Seam, connect, merge, relay, resilient, testing
from tokenstream.errors import StreamInterrupted
from tokenstream.events import ReasoningDelta, Restarted, TextDelta
from tokenstream.recovery import Attempt

OTHER = "The fog came first, and then the ferry, which nobody had seen since the spring."
AUTO = Retry(wait=0)
KINDS = ("t", "s", "rt", "rs", "c", "sc", "tc", "rc", "rsc", "scc")
SILENT = ("final", "when_complete")
"""Readers that return nothing before the answer is whole."""
VIEWS = sorted(READERS.keys() - {"events"})
"""Readers that get the whole answer beside others; a loop over events gets what no other has read before."""


def cut_before(words: bytes, kind: str, format: str = "openai-chat") -> int:
    return next(number for number, chunk in enumerate(chunks_of(kind, format)) if words in chunk)


HALF_A_CALL = cut_before(b"tool_calls", "sc") + 2
SHORT_TEXT = cut_before(b"see.", "s") + 1


def is_whole(seen: Seen, harbour: Harbour) -> bool:
    """Return True if the message is one answer of the server, from its beginning to its end."""
    (call_count, has_story) = (harbour.kind.count("c"), "t" in harbour.kind)
    stories = {STORY, harbour.other} if has_story else {"Let me see." if "s" in harbour.kind else ""}
    is_one = seen.message.text.strip() in stories
    return is_one and len(seen.message.tool_calls) == call_count and seen.message.ending == "complete"


# -- nothing was delivered ---------------------------------------------------------------------------


@in_each_world
def test_a_call_that_was_handed_out_is_not_asked_for_again(world: str) -> None:
    """The program may have run it."""
    cut = cut_before(b"call_2", "scc") + 1
    seen = read(Harbour("openai-chat", "scc", cut), AUTO, READERS["tool_calls"], world)

    assert seen.error is not None
    assert (len(seen.items), seen.modes) == (1, ("start",))


def test_a_result_is_of_one_answer_alone() -> None:
    """`result` has delivered nothing before it returns, so JSON is asked for again, too."""
    whole = testing.script().text('{"knots": ', "7}").finish("stop").chunks("openai-chat")
    bodies = [whole[:2], whole]

    def answer(_: httpx.Request) -> httpx.Response:
        return streamed(bodies.pop(0))

    client = httpx.Client(transport=httpx.MockTransport(answer))
    with connect(URLS["openai-chat"], json={"messages": []}, client=client, retry=AUTO) as stream:
        assert stream.result(dict[str, int]) == {"knots": 7}


def test_an_open_of_your_own_asks_for_the_whole_answer_again() -> None:
    """Without a reader that has some of it, the whole answer is what is wanted."""
    whole = chunks_of("t")
    bodies = [whole[:9], whole]
    with resilient(lambda: bodies.pop(0), AUTO) as stream:
        assert stream.final().text.strip() == STORY


@pytest.mark.parametrize("reader", ["tool_calls", "when_complete"])
@pytest.mark.parametrize("format", ["gemini", "ollama"])
def test_a_call_of_a_refused_continuation_is_not_run(format: str, reader: str) -> None:
    cut = cut_before(b"noon", "tc", format)
    seen = read(Harbour(format, "tc", cut, other=OTHER, obeys=False), AUTO, READERS[reader])

    assert seen.modes == ("start", "continue", "restart")
    assert [call.arguments for call in seen.items] == [{"boat": 1, "knots": 7}]
    assert [part.kind for part in seen.message.parts] == ["text", "tool_call"]


# -- who has been given something --------------------------------------------------------------------


def show_once(view: str) -> Any:
    """Return a reader that takes one item of a view, and then nothing more."""

    def take(stream: Any) -> None:
        next(iter(getattr(stream, view)))

    return take


LOOKS: dict[str, Any] = {
    "message": lambda stream: stream.message,
    "choice": lambda stream: stream.choice(0).message,
    "checkpoint": lambda stream: stream.checkpoint(),
}


def loop_to_the_text(stream: Any) -> None:
    for event in stream:
        if isinstance(event, TextDelta):
            return


def broadcast_loop(stream: Any) -> None:
    loop_to_the_text(stream.broadcast().reader())


def merged_loop(stream: Any) -> None:
    for labelled in merge({"one": stream}):
        if isinstance(labelled.event, TextDelta):
            return


def relayed(stream: Any) -> None:
    """Send the text to a browser, and leave then."""
    for payload in relay.payloads(stream, "openai-chat"):
        if "Let me" in str(payload):
            return


def handled(stream: Any) -> None:
    """Have a router print the text."""
    router = Router()

    @router.on(TextDelta)
    def show(_: TextDelta) -> None:
        """Show a piece of the text."""

    stream.run(router)


@pytest.mark.parametrize(
    "reader",
    [show_once("text"), show_once("deltas"), loop_to_the_text, broadcast_loop, merged_loop, relayed, handled],
    ids=["text", "deltas", "events", "broadcast", "merge", "relay", "router"],
)
def test_text_that_a_reader_was_given_is_not_replaced(reader: Any) -> None:
    """A short text that is still open is an error, as it can be neither continued nor taken back."""
    seen = read(Harbour("openai-chat", "s", cut_before(b"see.", "s") + 1), AUTO, reader)

    assert seen.error is not None
    assert seen.modes == ("start",)
    assert "it is too short" in seen.notes


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("format", ["openai-chat", "anthropic", "openai-responses"])
@pytest.mark.parametrize("text", ["A", "Sure.", "Let me look.", "Let me see them."])
def test_a_call_cut_after_a_text_of_any_length_is_asked_for_after_it(
    text: str, format: str, repeats: bool
) -> None:
    """The call has closed the text, so the model may repeat that or not: it is there once, as the call is."""

    def tell(number: int, _: str) -> list[bytes]:
        script = testing.script(id=f"id_{number}")
        return _calling(script.text(text) if repeats or number == 1 else script, number, format)

    harbour = Teller(tell, format, _half_of(tell(1, "")))
    seen = read(harbour, AUTO, READERS["text"])

    calls = [(call.name, call.arguments) for call in seen.message.tool_calls]
    assert (text, text, [("sail", {"boat": 1})]) == ("".join(seen.items), seen.message.text, calls)
    assert (None, ["", text]) == (seen.error, [text_sent_back(payload) for payload in harbour.requests])


def _calling(script: Any, number: int, format: str) -> list[bytes]:
    """Return the chunks of an answer that ends with a call."""
    chunks: list[bytes] = (
        script.tool_call("sail", {"boat": 1}, id=f"call_{number}").finish("tool_calls").chunks(format)
    )
    return chunks


def _half_of(chunks: list[bytes]) -> int:
    """Return the number of chunks up to the first with arguments of a call."""
    return next(number for number, chunk in enumerate(chunks) if b"boat" in chunk) + 1


@pytest.mark.parametrize("reply", ["Let me look. Rivers part.", "Rivers part."])
def test_a_continuation_that_goes_on_with_a_closed_text_is_asked_for_as_a_whole(reply: str) -> None:
    """A short text that a call has closed is never joined to other words, whichever route has them."""

    def tell(number: int, given: str) -> list[bytes]:
        script = testing.script(id=f"id_{number}")
        if not given:
            return _calling(script.text("Let me look."), number, "openai-chat")
        chunks: list[bytes] = script.text(*reply).finish("stop").chunks("openai-chat")
        return chunks

    harbour = Teller(tell, "openai-chat", _half_of(tell(1, "")))
    client = harbour.client(is_async=False)
    other = Route("https://other.test/v1/chat/completions", json=harbour.payload, client=client)
    seen = read(harbour, Retry(attempts=2, wait=0, routes=[other]), READERS["text"])

    calls = [(call.name, call.arguments) for call in seen.message.tool_calls]
    assert ("Let me look.", "Let me look.") == ("".join(seen.items), seen.message.text)
    assert ([("sail", {"boat": 1})], "complete") == (calls, seen.message.ending)
    assert ["", "Let me look.", ""] == [text_sent_back(payload) for payload in harbour.requests]


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_look_at_the_message_is_a_delivery(look: Any) -> None:
    """A display that polls the message shows what it has."""
    cut = cut_before(b"see.", "rs") + 1

    def look_at_text(stream: Any) -> None:
        for event in stream.deltas:
            if isinstance(event, TextDelta):
                break
        next(stream.reasoning, None)
        look(stream)

    def wait_for_text(stream: Any) -> None:
        # Nothing but the reasoning is read here, although the text has arrived by then.
        stream.wait_open("event")
        next(stream.reasoning, None)
        look(stream)

    seen = read(Harbour("openai-chat", "rs", cut), AUTO, look_at_text)
    unseen = read(Harbour("openai-chat", "rs", cut), AUTO, wait_for_text)

    assert seen.error is not None
    assert unseen.error is None


def test_a_view_that_holds_its_text_back_has_delivered_nothing() -> None:
    """A sentence whose end has not come was not given to the loop."""
    harbour = Harbour("openai-chat", "s", cut_before(b"see.", "s"), other=OTHER)
    seen = read(harbour, AUTO, READERS["sentences"])

    assert seen.error is None
    assert "".join(seen.items).strip() == "Let me see."


def test_what_a_loop_was_given_before_final_counts_no_further() -> None:
    """A loop that was left before any text came has not delivered what `final()` reads."""

    def leave_early(stream: Any) -> None:
        for _ in stream:
            return

    assert read(Harbour("openai-chat", "sc", HALF_A_CALL), AUTO, leave_early).error is None


def test_on_retry_is_given_the_text_that_an_attempt_goes_on_with() -> None:
    """A refused continuation then stays an error; a restart is told of by its mode."""
    told: list[tuple[str, str]] = []

    def note(attempt: Attempt) -> None:
        told.append((attempt.mode, attempt.message.text))

    retry = Retry(attempts=3, wait=0, on_retry=note)
    cut = cut_before(b"noon", "t")
    refused = read(Harbour("openai-chat", "t", cut, other=OTHER, obeys=False), retry, FINAL)
    short = read(Harbour("openai-chat", "s", SHORT_TEXT, breaks=2), retry, FINAL)

    assert refused.error is not None
    assert short.error is None
    assert [mode for mode, _ in told] == ["continue", "continue", "restart", "restart"]


# -- reasoning ---------------------------------------------------------------------------------------


@in_one_test("format", sorted(URLS))
@in_one_test("reader", ["events", "deltas", "text", "final"])
def test_an_answer_cut_in_its_reasoning_is_asked_again(format: str, reader: str) -> None:
    """Reasoning that was shown is followed by `Restarted`."""
    cut = cut_before(b"weather", "rt", format) + 1
    harbour = Harbour(format, "rt", cut, other=OTHER)
    seen = read(harbour, AUTO, READERS[reader])

    assert seen.error is None
    assert seen.message.text.strip() == OTHER
    assert seen.message.reasoning == "".join(THOUGHTS)
    if reader == "events":
        given = [type(event) for event in seen.items]
        assert given.index(ReasoningDelta) < given.index(Restarted) < given.index(TextDelta)


# -- refused seams -----------------------------------------------------------------------------------


def test_a_refused_seam_says_what_was_tried_and_what_would_have_taken_it() -> None:
    """The error has the number of continuations, the reason of each, and the option that takes one."""
    seen, taken, replaced = (
        read(Harbour("openai-chat", "t", cut_before(b"noon", "t"), other=OTHER, obeys=False), retry, view)
        for retry, view in (
            (AUTO, READERS["text"]), (Retry(wait=0, seam=Seam(least=0.5)), READERS["text"]), (AUTO, FINAL),
        )
    )  # fmt: skip

    assert isinstance(seen.error, StreamInterrupted)
    assert seen.modes == ("start", "continue", "continue")
    assert "2 continuations were tried and refused" in seen.notes
    assert "attempt 2: " in seen.notes
    assert "attempt 3: " in seen.notes
    assert "Seam(least=0.5)" in seen.notes
    assert (taken.error, taken.modes) == (None, ("start", "continue"))
    assert (replaced.message.text.strip(), replaced.modes) == (OTHER, ("start", "continue", "restart"))


# -- the law -----------------------------------------------------------------------------------------


def is_true_prefix(seen: Seen, reader: str) -> bool:
    """Return True if what a reader has, behind the last `Restarted`, is the beginning of the message."""
    if reader in ("final", "when_complete", "tool_calls"):
        calls = [(call.name, call.arguments) for call in seen.items]
        return calls == [(call.name, call.arguments) for call in seen.message.tool_calls[: len(calls)]]
    items = seen.items
    places = [number for number, item in enumerate(items) if isinstance(item, Restarted)]
    items = items[places[-1] + 1 :] if places else items
    if reader in ("text", "sentences", "reasoning"):
        text = "".join(items)
        return (seen.message.reasoning if reader == "reasoning" else seen.message.text).startswith(text)
    text = "".join(item.text for item in items if isinstance(item, TextDelta))
    thought = "".join(item.text for item in items if isinstance(item, ReasoningDelta) and item.text)
    return seen.message.text.startswith(text) and seen.message.reasoning.startswith(thought)


@given(
    st.sampled_from(sorted(URLS)),
    st.sampled_from(KINDS),
    st.lists(st.sampled_from(VIEWS), min_size=1, max_size=3) | st.just(["events"]),
    st.lists(st.integers(0, 2), max_size=40),
    st.booleans(),
    st.sampled_from(["sync", "sync", "asyncio"]),
    st.floats(0, 1),
    st.lists(st.floats(0, 1), max_size=2),
    st.booleans(),
    st.booleans(),
)
def test_several_readers_have_one_answer_however_often_it_breaks(
    format: str,
    kind: str,
    readers: list[str],
    turns: list[int],
    again: bool,
    world: str,
    place: float,
    later: list[float],
    is_other: bool,
    obeys: bool,
) -> None:
    """The items of each reader are the beginning of the message; without any items, nothing is lost."""
    harbour = Harbour(
        format,
        kind,
        cut_at(place, len(chunks_of(kind, format))),
        other=OTHER if is_other else STORY,
        obeys=obeys,
        later=tuple(later),
    )
    retry = Retry(wait=0, again=again, attempts=8)
    seen = read_together(harbour, retry, readers, turns, world)

    for reader, each in zip(readers, seen, strict=True):
        assert is_true_prefix(each, reader)
    if all(reader in SILENT or not each.items for reader, each in zip(readers, seen, strict=True)):
        assert seen[0].error is None
    if seen[0].error is None:
        assert is_whole(seen[0], harbour)
