"""Test how answers end, in every format: in an open part, and by marks that contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats import test_langchain_protocol as protocol
from tests.formats.anthropic import payloads as anthropic
from tests.formats.bedrock import payloads as bedrock
from tests.formats.calls import WIRES
from tests.formats.cohere import payloads as cohere
from tests.formats.gemini_interactions import support as steps
from tests.formats.openai_realtime import payloads as realtime
from tests.formats.openai_responses import payloads as responses
from tests.formats.told import DONE, Told, tell
from tests.support.recordings import frames_of, ours
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.errors import StreamTruncated
from tokenstream.formats import _registry as registry
from tokenstream.limits import DEFAULT_LIMITS

Frames = list[Any]


def of(type: str, **fields: Any) -> dict[str, Any]:  # noqa: A002 - the field's name
    return {"type": type, **fields}


def read(name: str, *frames: Any) -> Told:
    return tell(registry.create(name, limits=DEFAULT_LIMITS), *frames)


BEHIND_THE_END: dict[str, set[str]] = {
    **{name: set() for name in ("bedrock-converse", "cohere", "gemini-interactions", "ollama")},
    **{
        name: {"end_repeated"}
        for name in ("ag-ui", "anthropic", "openai-chat", "openai-completions", "tgi", "ui-message")
    },
}
"""What a sentinel there breaks: it is no news where servers or proxies send it."""
SAID = responses.message(responses.output_text("Low tide"), status="completed")
SPOKEN = protocol.add(0, "text", text="Low tide")
PIECES: dict[str, tuple[Frames, Frames, Frames]] = {
    "anthropic": (
        [anthropic.start(), anthropic.block(0, "text", text=""), anthropic.text(0, "Low tide")],
        [anthropic.stop(0)],
        [DONE, anthropic.STOP],
    ),
    "openai-responses": (
        [responses.created(), responses.added(responses.message()), responses.delta("Low tide")],
        [responses.done(SAID)],
        [DONE],
    ),
    "openai-realtime": (
        [realtime.created(), realtime.added(), realtime.text("Low tide")],
        [realtime.finished(content=SAID["content"])],
        [realtime.event("response.done", response={"id": "resp_1", "object": "realtime.response"})],
    ),
    "ui-message": (
        [of("start", messageId="u"), of("text-start", id="t"), of("text-delta", id="t", delta="Low tide")],
        [of("text-end", id="t")],
        [DONE],
    ),
    "cohere": (
        [cohere.start(), cohere.block(0), cohere.text(0, "Low tide")],
        [cohere.stop(0)],
        [DONE, of("message-end", delta={})],
    ),
    "bedrock-converse": (
        [dict([bedrock.START]), dict([bedrock.text(0, "Low tide")])],
        [dict([bedrock.stop(0)])],
        [DONE, {"messageStop": {}}],
    ),
    "gemini-interactions": (
        [steps.created(), steps.start(0, "model_output"), steps.delta(0, "text", text="Low tide")],
        [steps.stop(0)],
        [DONE, steps.completed("in_progress")],
    ),
    "langchain-protocol": (
        [{"event": "message-start", "id": "l"}, protocol.begin(0, type="text", text=""), SPOKEN],
        [protocol.end(0, type="text", text="Low tide")],
        [{"event": "message-finish"}],
    ),
}
"""Formats that close their parts: an answer in an open text, the end of that, and marks with no reason."""


def test_every_format_that_closes_its_parts_has_its_row() -> None:
    assert {name for name in registry.names() if registry.load(name).closes_parts} == PIECES.keys()


@pytest.mark.parametrize("name", PIECES)
def test_a_mark_without_a_reason_in_an_open_part_is_a_cut(name: str) -> None:
    """Servers write it on every way out, also when what they pass on has broken off."""
    begun, closed, marks = PIECES[name]
    for mark in marks:
        cut, empty = read(name, *begun, mark), read(name, begun[0], mark)
        whole = read(name, *begun, *closed, mark)

        assert isinstance(cut.error, StreamTruncated), mark
        assert ("truncated", "Low tide") == (cut.ending, cut.message.text)
        assert ("truncated", "") == (empty.ending, empty.message.text), mark
        assert (None, "complete", "Low tide") == (whole.error, whole.ending, whole.message.text), mark
        assert "finish_missing" in whole.departures


@pytest.mark.parametrize("response", [{}, {"response": {"usage": {"output_tokens": 2}}}])
def test_the_responses_apis_other_word_for_its_end_counts_behind_content(response: Any) -> None:
    """Alone, it is the end of an answer that was lost."""
    begun, closed, _ = PIECES["openai-responses"]
    end = of("response.done", **response)
    told = [read("openai-responses", *frames, end) for frames in (begun, [*begun, *closed], begun[:1])]

    assert [(None, "stop", "Low tide")] * 2 == [
        (each.error, each.reason, each.message.text) for each in told[:2]
    ]
    assert "truncated" == told[2].ending


@in_one_test("name", PIECES.keys() & WIRES.keys())
def test_a_mark_without_a_reason_in_an_open_call_is_a_cut(name: str) -> None:
    """Nothing says that the call is whole, however whole it looks."""
    wire = WIRES[name]
    for mark in PIECES[name][2]:
        cut = read(name, *wire.begins, wire.start(0), wire.piece(0, '{"n": 1}'), mark)

        assert ("truncated", []) == (cut.ending, cut.calls), mark
        assert {"finish_missing", "call_open_at_end"} <= cut.rules


@pytest.mark.parametrize("name", ["openai-chat", "openai-completions"])
def test_without_ends_of_parts_a_text_may_be_whole_and_reasoning_is_not(name: str) -> None:
    """Some servers send no reason; but no answer is reasoning alone."""

    def told(field: str) -> Told:
        delta = {field: "Low tide"}
        choice = {"index": 0, **({"delta": delta} if name == "openai-chat" else delta)}
        return read(name, {"id": "c", "choices": [choice]}, DONE)

    assert "complete" == told("content" if name == "openai-chat" else "text").message.ending
    assert "truncated" == told("reasoning_content").message.ending


ENDED = {recorded.format: frames_of(recorded.body) for recorded in ours()}


@in_one_test("name", BEHIND_THE_END)
def test_what_comes_after_the_end_is_counted_and_not_read(name: str) -> None:
    frames = ENDED[name]
    whole, done, more = (read(name, *frames, *rest) for rest in ([], [DONE], [DONE, *frames[:-1]]))

    assert whole.message == done.message
    assert (whole.parts, whole.ending) == (more.parts, more.ending)
    assert whole.rules | BEHIND_THE_END[name] == done.rules
    # A call that is told again is no content that is lost.
    assert ("data_after_end" if name != "ag-ui" else "end_repeated") in more.rules


def response(type: str, **fields: Any) -> Frames:  # noqa: A002 - the field's name
    return [of(f"response.{type}", response={"id": "r", "output": [SAID], **fields})]


def live(**fields: Any) -> Frames:
    begun, closed, (done,) = PIECES["openai-realtime"]
    return [*begun, *closed, {**done, "response": {**done["response"], **fields}}]


def interaction(*statuses: str) -> Frames:
    begun, closed, _ = PIECES["gemini-interactions"]
    *updates, last = statuses
    sent = [steps.event("interaction.status_update", status=status) for status in updates]
    return [*begun, *closed, *sent, steps.completed(last)]


LENGTH = {"incomplete_details": {"reason": "max_output_tokens"}}
ERROR = {"code": "server_error", "message": "m"}
MARKS: list[tuple[str, Frames, str]] = [
    ("openai-responses", response("completed", status="completed", **LENGTH), "length"),
    ("openai-responses", response("incomplete", status="completed", **LENGTH), "length"),
    ("openai-responses", response("completed", stop_reason="length"), "length"),
    ("openai-responses", response("incomplete", status="cancelled", **LENGTH), "cancelled"),
    ("openai-responses", response("completed", status="completed", error=ERROR), "error"),
    ("openai-responses", response("failed", status="completed"), "error"),
    ("openai-realtime", live(status="completed", status_details={"type": "incomplete"}), "unknown"),
    ("openai-realtime", live(status="completed", status_details={"type": "failed", "error": ERROR}), "error"),
    ("gemini-interactions", interaction("cancelled", "completed"), "cancelled"),
    ("gemini-interactions", interaction("failed", "incomplete"), "error"),
    (
        "anthropic",
        [
            *PIECES["anthropic"][0],
            of("message_delta", delta={"stop_reason": "end_turn", "stop_details": {"type": "refusal"}}),
        ],
        "refusal",
    ),
    (
        "cohere",
        [*PIECES["cohere"][0], of("message-end", delta={"finish_reason": "COMPLETE", "error": "m"})],
        "error",
    ),
    (
        "gemini",
        [
            {
                "candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}],
                "promptFeedback": {"blockReason": "SAFETY"},
            }
        ],
        "content_filter",
    ),
    (
        "langchain",
        [of("ai", content="a", response_metadata={"finish_reason": "stop", "status": "incomplete"})],
        "length",
    ),
    (
        "langchain-protocol",
        [
            *PIECES["langchain-protocol"][0],
            {"event": "message-finish", "finishReason": "stop", "metadata": {"finish_reason": "max_tokens"}},
        ],
        "length",
    ),
    (
        "openai-completions",
        [{"content": "a", "stop": True, "stop_type": "eos", "stopped_limit": True}],
        "length",
    ),
]
"""Answers with marks of their end that contradict each other, and the worst of these."""


@pytest.mark.parametrize(("name", "frames", "worst"), MARKS)
def test_the_ending_is_the_worst_of_its_marks(name: str, frames: Frames, worst: str) -> None:
    """A kind of event, a status, its details and a reason may disagree, which is counted."""
    told = read(name, *frames)

    assert (worst, 1) == (told.reason, told.departures.get("finish_contradicted"))
    assert (told.error is not None) == (worst == "error")


@pytest.mark.parametrize("name", ["openai-chat", "gemini"])
def test_a_milder_reason_that_comes_later_changes_nothing(name: str) -> None:
    """Gateways end every answer with a reason of their own."""
    words = {"openai-chat": ("length", "stop"), "gemini": ("MAX_TOKENS", "STOP")}[name]
    frames = [
        {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": word}]}
        if name == "openai-chat"
        else {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": word}]}
        for word in words
    ]
    told = read(name, *frames)

    assert ("length", 1) == (told.reason, told.departures["finish_repeated"])


def test_counts_after_the_sentinel_are_read() -> None:
    """Servers that add them send them last."""
    said = {"id": "c", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}
    told = read("openai-chat", said, DONE, {"id": "c", "choices": [], "usage": {"completion_tokens": 7}})

    assert told.message.usage is not None
    assert (7, 1) == (told.message.usage.output_tokens, told.departures["usage_misplaced"])


def test_payloads_of_a_loop_say_what_the_loop_has_left_out() -> None:
    """The SDK of OpenAI swallows the sentinel, so that nobody can tell a cut from a whole answer."""
    payload = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    with pytest.raises(StreamTruncated, match=r"pass the SDK's stream itself, or the response"):
        Stream(each for each in [payload]).final()
