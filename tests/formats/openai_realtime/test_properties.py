"""What holds for any Realtime session: the short way is the long way, and nothing crashes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.formats.mutations import strayed
from tests.formats.openai_realtime.payloads import (
    Payload,
    added,
    arguments,
    arguments_done,
    audio,
    call,
    call_done,
    created,
    done,
    event,
    finished,
    frame,
    part,
    part_done,
    read,
    session,
    text,
    transcript,
    where,
)
from tests.formats.told import is_sound, reads_alike_at_a_glance
from tests.support.formats import OpenAIRealtime

SPOKEN = where("resp_2", "item_2")
CALLED = where("resp_2", "item_3", 1)
EVERYTHING = [
    session(audio={"output": {"format": {"type": "audio/pcm", "rate": 24000}}}),
    event("ping"),
    event("conversation.item.added", item={"id": "u", "type": "message"}),
    created(),
    added(),
    part(),
    text("Hel"),
    text("lo"),
    part_done(text="Hello"),
    finished(content=[{"type": "output_text", "text": "Hello"}]),
    done(usage={"output_tokens": 3, "output_token_details": {"audio_tokens": 1}}),
    event("rate_limits.updated", rate_limits=[{"name": "tokens"}]),
    created("resp_2"),
    added(response="resp_2", item="item_2"),
    part("audio", SPOKEN),
    transcript("Hi", SPOKEN),
    audio(b"\x00\x01", SPOKEN),
    part_done("audio", SPOKEN, transcript="Hi"),
    finished(response="resp_2", item="item_2", content=[{"type": "output_audio", "transcript": "Hi"}]),
    call(response="resp_2", item="item_3", index=1),
    arguments('{"harbour"', CALLED),
    arguments(': "Brest"}', CALLED),
    arguments_done('{"harbour": "Brest"}', CALLED),
    call_done('{"harbour": "Brest"}', response="resp_2", item="item_3", index=1),
    added("mcp_call", response="resp_2", item="item_4", index=2, name="search"),
    event("response.mcp_call_arguments.delta", delta="{}", **where("resp_2", "item_4", 2)),
    event("response.mcp_call_arguments.done", arguments="{}", **where("resp_2", "item_4", 2)),
    finished("mcp_call", response="resp_2", item="item_4", index=2, arguments="{}", name="search"),
    event("error", error={"type": "invalid_request_error", "message": "no"}),
    done(
        "resp_2",
        "failed",
        status_details={"error": {"message": "m"}},
        output=[
            *[{"id": f"item_{n}"} for n in (2, 3, 4)],
            {"id": "item_9", "type": "message", "content": [{"type": "output_text", "text": "x"}]},
        ],
    ),
]


def test_a_text_that_is_sent_whole_twice_is_given_once() -> None:
    whole = frame({**text("Hi"), "type": "response.output_text.done", "text": "Hi"})
    frames = [frame(created()), frame(added()), frame(part()), whole, whole, whole, frame(done())]

    reads_alike_at_a_glance(OpenAIRealtime, frames)
    assert "Hi" == read(*frames).message.text


def test_a_payload_that_only_looks_like_a_delta_is_read_in_full() -> None:
    """The type's words may stand in another field."""
    stray = b'{"event_id":"\\"response.output_text.delta\\"","type":"session.updated"}'
    odd = b'{"event_id":"response.output_text.delta","type":"ping"}'
    frames = [frame(created()), frame(added()), frame(part()), frame(text("a")), stray, odd, b"{", b"{}"]

    reads_alike_at_a_glance(OpenAIRealtime, frames)


@given(payloads=strayed(EVERYTHING, {"type": "audio"}), answer=st.sampled_from([None, "resp_1", "resp_2"]))
def test_whatever_a_server_sends_only_our_errors_come_out(
    payloads: list[Payload], answer: str | None
) -> None:
    format_ = OpenAIRealtime(answer=answer)

    is_sound(read(*[json.dumps(payload).encode() for payload in payloads], format=format_))
    for payload in payloads:
        name, ends = format_.place_of(payload)
        assert (name is None or isinstance(name, str), ends) == (True, bool(ends))


@given(cut=st.integers(0, len(EVERYTHING)))
def test_a_session_that_is_cut_never_hands_out_what_was_open(cut: int) -> None:
    """A call is handed out after its item's end, and in no cut before it."""
    came = read(*EVERYTHING[:cut])
    ended = EVERYTHING.index(call_done('{"harbour": "Brest"}', response="resp_2", item="item_3", index=1))

    assert len(came.calls) == (1 if cut > ended else 0)
