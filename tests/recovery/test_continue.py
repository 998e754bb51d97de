"""A broken answer that a model goes on with: one answer for whoever reads, and said where it was joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.recovery.attempts import in_each_world, play
from tests.recovery.continuing import (
    GIVEN,
    GO_ON,
    PREFIX,
    SCRIPT,
    TEXT,
    cut,
    goes_on,
    obeys,
    reasoned,
    says,
    seam,
    text_of,
)
from tests.support import wire
from tokenstream import Retry, Route, Seam, Stream, resilient, testing
from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import MisuseError, ProviderError, StatusError, StreamTruncated
from tokenstream.events import Finish, MessageStart, PartDone, PartStart, Resumed
from tokenstream.message import TextPart
from tokenstream.recovery import Attempt


@in_each_world
@pytest.mark.parametrize("format", ["openai-chat", "anthropic", "gemini", "openai-responses", "ollama"])
@pytest.mark.parametrize(("retry", "reply", "confidence"), [(GO_ON, obeys, 1.0), (PREFIX, goes_on, 0.9)])
def test_whoever_reads_sees_one_answer(
    world: str, format: Any, retry: Retry, reply: Callable[[str], str], confidence: float
) -> None:
    """One head, one part, one end, and what is repeated at the seam is dropped.

    Behind a prefix, there is nothing to compare; here, only the caller says that the server continues one.
    """
    played = play(world, [cut(format), says(reply, format)], retry, format=format)

    kinds = [type(event) for event in played.given]
    folded = Accumulator()
    for event in played.given:
        folded.feed(event)
    assert TEXT == text_of(played) == played.message.text == folded.message.text
    uncut = [type(event) for event in Stream(SCRIPT.chunks(format), format=format)]
    for kind in (MessageStart, PartDone, Finish):
        assert 1 == kinds.count(kind) == uncut.count(kind)
    assert kinds.count(PartStart) <= uncut.count(PartStart)
    assert ("continue", confidence) == (seam(played).mode, seam(played).confidence)
    assert (True, 1, [0, 1]) == (played.message.complete, len(played.message.parts), played.closed)
    assert played.message.parts == folded.message.parts


def test_the_message_is_the_first_ones_and_the_reports_have_the_others() -> None:
    """Id and model of the first connection; the tokens of both."""
    played = play("sync", [cut("anthropic"), says(obeys, "anthropic")], GO_ON, format="anthropic")

    usage = played.message.usage
    assert ("scripted-1", "msg_1") == (played.message.model, played.message.id)
    assert (30, 11, "partial") == (usage.input_tokens, usage.output_tokens, usage.basis)
    assert [("scripted-1", "msg_1"), ("other-model", "msg_1")] == [
        (each.model, each.id) for each in played.reports
    ]
    assert ["start", "continue"] == [report.mode for report in played.reports]


WHATEVER = Retry(again=True, wait=0, seam=Seam(least=0))
"""Joins what is not known to belong together."""


def test_what_does_not_join_is_given_as_it_is_where_the_caller_says_so() -> None:
    """In another language, say: nothing is dropped, and the confidence says that nobody knows."""
    other = "Ein Fluss kümmert sich nicht um einen Stein."
    played = play("sync", [cut(), says(lambda _: other)], WHATEVER, format="openai-chat")

    assert GIVEN + other == text_of(played) == played.message.text
    assert (0, 0.5) == (seam(played).dropped, seam(played).confidence)


@pytest.mark.parametrize(("retry", "confidence"), [(WHATEVER, 0.5), (PREFIX, 0.9)])
def test_a_continuation_that_is_empty_ends_the_answer(retry: Retry, confidence: float) -> None:
    played = play("sync", [cut(behind=b"again"), says(lambda _: "")], retry, format="openai-chat")

    assert (True, True) == (played.message.complete, played.message.parts[0].complete)
    assert confidence == seam(played).confidence
    assert [PartDone, Finish] == [
        type(event) for event in played.given if isinstance(event, PartDone | Finish)
    ]


def test_signed_reasoning_goes_back_and_no_other() -> None:
    """Byte for byte; what is not signed stays here."""
    signed = play(
        "sync", [cut("anthropic", reasoned(signature="c2lnbg==")), says(obeys, "anthropic")], GO_ON,
        format="anthropic",
    )  # fmt: skip
    plain = play(
        "sync", [cut("openai-chat", reasoned(signature=None)), says(obeys)], GO_ON, format="openai-chat"
    )

    thinking = signed.asked[1].continuation()[0]["content"][0]
    assert {"type": "thinking", "thinking": "Well. ", "signature": "c2lnbg=="} == thinking
    assert {"role": "assistant", "content": GIVEN} == plain.asked[1].continuation()[0]
    assert TEXT == signed.message.text == plain.message.text
    assert "Well. " == signed.message.reasoning == plain.message.reasoning


def test_what_a_model_thinks_of_being_asked_to_go_on_is_no_part_of_its_answer() -> None:
    """A turn that ended in it would be refused."""

    def thinks(attempt: Attempt) -> list[bytes]:
        script = testing.script().reasoning("Where was I? ").text(obeys(attempt.message.text))
        return script.finish("stop").chunks("anthropic")

    played = play("sync", [cut("anthropic"), thinks], GO_ON, format="anthropic")

    assert (TEXT, "", True) == (played.message.text, played.message.reasoning, played.message.complete)
    assert [TextPart(text=TEXT, complete=True)] == [*played.message.parts]
    assert [{"type": "text", "text": TEXT}] == played.message.to_anthropic()["content"]


@in_each_world
def test_a_call_that_comes_after_the_seam_is_handed_out_once(world: str) -> None:
    def calls(attempt: Attempt) -> list[bytes]:
        script = testing.script().text(*obeys(attempt.message.text).replace(" ", " \0").split("\0"))
        return script.tool_call("look", {"at": "stone"}, id="call_1").finish("tool_calls").chunks("anthropic")

    bodies: list[Any] = [cut("anthropic", reasoned(signature="cw==")), calls]
    played = play(world, bodies, GO_ON, lambda stream: stream.tool_calls, format="anthropic")

    assert [("look", {"at": "stone"})] == [(call.name, call.arguments) for call in played.given]
    assert ["reasoning", "text", "tool_call"] == [part.kind for part in played.message.parts]
    assert "tool_calls" == played.message.finish_reason


def script_of(text: str) -> testing.Script:
    return testing.script().text(*text.split("|"))


CALL = testing.script().text("I look. ").tool_call("look", {"at": "the stone in the river"}, id="c")
FILTERED = ProviderError("filtered", code="content_filter", retryable=True)
NEVER: dict[str, tuple[list[Any], str]] = {
    "a finished call": (CALL.text("So", "never").chunks("anthropic")[:-3], "tool call"),
    "a refusal": (script_of("No. ").refusal("I can", "not.").chunks("openai-chat"), "refused"),
    "reasoning alone": (
        testing.script().reasoning("Well", " then").text("x").chunks("anthropic")[:4], "reasoning",
    ),
    "white space": (script_of(" |\n|x").chunks("openai-chat")[:3], "no text"),
    # A request that goes on would only meet the content filter again.
    "what the provider has ended": ([*cut(), FILTERED], "the provider has ended it"),
    # Which of several would the model go on with?
    "another answer beside it": (
        [wire.chat({"content": "A"}), wire.chat({"content": "B"}, index=1)], "it has several choices",
    ),
}  # fmt: skip
"""Answers that nobody goes on with, and why."""


@pytest.mark.parametrize(("body", "why"), NEVER.values(), ids=NEVER)
def test_what_is_never_gone_on_with_begins_again_and_says_why(body: list[Any], why: str) -> None:
    format = "anthropic" if b"event: " in body[0] else "openai-chat"
    whole = script_of("Something whole.").finish("stop").chunks(format)
    on: Any = [ProviderError] if body[-1] is FILTERED else ()
    played = play("sync", [body, whole], Retry(again=True, wait=0, on=on), format=format)

    assert ("restart", "Something whole.") == (played.asked[1].mode, played.message.text)
    assert why in str(played.asked[1].why)
    assert [] == played.asked[1].continuation()


@pytest.mark.parametrize("attempts, text", [(2, None), (3, TEXT)])
def test_only_the_refusal_of_a_prefix_is_free(attempts: int, text: str | None) -> None:
    refused = StatusError("Requests ending with a model turn are not supported.", status=400)
    retry = Retry(again=True, wait=0, seam=Seam(prefill=True), attempts=attempts)
    played = play(
        "sync",
        [cut(), refused, lambda attempt: [*says(obeys)(attempt)][:2], says(obeys)],
        retry,
        format="openai-chat",
    )

    assert (attempts + 1) == len(played.asked)
    assert text in {None, played.message.text}
    assert (StreamTruncated if text is None else type(None)) is type(played.error)


def test_an_answer_in_json_is_not_asked_for_in_a_users_turn() -> None:
    """A prefix that is refused is followed by a restart there."""
    script = testing.script().text('{"a": ', "[1, ", "2]}").finish("stop")
    refused = StatusError("substring not found", status=400)
    bodies: list[Any] = [script.chunks("openai-chat")[:3], refused, script.chunks("openai-chat")]
    played = play("sync", bodies, PREFIX, format="openai-chat")

    assert ["start", "continue", "restart"] == [attempt.mode for attempt in played.asked]
    assert '{"a": [1, 2]}' == text_of(played) == played.message.text


def test_another_model_goes_on_where_it_is_told_of_the_answer() -> None:
    """A route whose function takes the attempt is asked to go on; one that takes none is left out."""

    def other(attempt: Attempt) -> list[bytes]:
        assert attempt.continuation("anthropic")[-1]["role"] == "user"
        return says(obeys, "anthropic")(attempt)

    def ask(attempt: Attempt) -> list[bytes]:
        return cut() if attempt.mode == "start" else says(obeys)(attempt)

    told = resilient(
        ask, Retry(again=True, wait=0, routes=Route(open=other, format="anthropic")), format="openai-chat"
    )
    untold = resilient(ask, Retry(again=True, wait=0, routes=Route(open=list)), format="openai-chat")

    assert TEXT == told.final().text == untold.final().text
    assert ["other-model"] * 2 == [stream.attempts[-1].model for stream in (told, untold)]


def test_your_own_function_asks_what_is_left_of_its_output_limit() -> None:
    played = play("sync", [cut(), says(obeys)], GO_ON, format="openai-chat")

    assert [100, 100 - -(-len(GIVEN) // 4)] == [attempt.tokens_left(100) for attempt in played.asked]
    assert [64, 1] == [replace(attempt, counted=64).tokens_left(64) for attempt in played.asked]


def test_a_checkpoint_after_a_seam_has_no_position() -> None:
    """No server has the whole of that answer."""
    rest = says(obeys, "openai-responses")

    def ask(attempt: Attempt) -> list[bytes]:
        return rest(attempt) if attempt.mode == "continue" else cut("openai-responses")

    stream = resilient(ask, GO_ON, format="openai-responses")
    for event in stream:
        if isinstance(event, Resumed):
            next(iter(stream))
            break

    kept = stream.checkpoint()
    stream.close()
    assert (None, None) == (kept.position, kept.state)
    assert kept.message.text.startswith(GIVEN)


@pytest.mark.parametrize(
    ("nonsense", "said"),
    [
        ({"least": 2}, "least= is a confidence"),
        ({"least": True}, "least= is a confidence"),
        ({"prefill": "yes"}, "prefill= is"),
    ],
)
def test_nonsense_is_refused_where_it_is_made(nonsense: dict[str, Any], said: str) -> None:
    with pytest.raises(MisuseError, match=said):
        Seam(**nonsense)


def test_turns_for_a_format_without_a_place_for_them_are_refused() -> None:
    """The error names those that have one."""

    def ask(attempt: Attempt) -> list[bytes]:
        attempt.continuation("openai-realtime")
        return cut()

    stream = resilient(ask, GO_ON, format="openai-chat")
    with pytest.raises(MisuseError, match="anthropic, bedrock-converse"):
        stream.final()
