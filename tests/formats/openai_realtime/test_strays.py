"""OpenAI Realtime: events that stray from the documents."""

from __future__ import annotations

from tests.formats.openai_realtime.payloads import (
    Payload,
    added,
    answer,
    arguments,
    arguments_done,
    audio,
    call,
    call_done,
    created,
    done,
    event,
    finished,
    part,
    read,
    session,
    text,
    transcript,
    where,
)
from tests.formats.openai_realtime.support import HELLO
from tests.support.formats import OpenAIRealtime
from tests.support.tables import in_one_test
from tokenstream.limits import Limits

STRAYS: dict[str, tuple[list[Payload], str, str]] = {
    "a response that begins twice": (
        [{**created(), "event_id": "event_0"}, *HELLO, done()],
        "start_twice",
        "Hello",
    ),
    "a response that ends twice": ([*HELLO, done(), done()], "finish_repeated", "Hello"),
    "a response without its beginning": ([*HELLO[1:], done()], "start_missing", "Hello"),
    "an item that begins twice": ([*HELLO[:2], *HELLO[1:], done()], "content_twice", "Hello"),
    "a part that begins twice": ([*HELLO[:3], *HELLO[2:], done()], "content_twice", "Hello"),
    "a part that was never begun": ([*HELLO[:2], *HELLO[3:], done()], "part_unannounced", "Hello"),
    "an item that was never begun": ([created(), *HELLO[3:], done()], "part_unannounced", "Hello"),
    "a part that ends twice": ([*HELLO[:6], HELLO[5], HELLO[6], done()], "part_end_unmatched", "Hello"),
    "an item that never ends": ([*HELLO[:6], done()], "", "Hello"),
    "a part that never ends": ([*HELLO[:5], done()], "part_unclosed", "Hello"),
    "no content index": (
        [*HELLO[:4], event("response.output_text.delta", delta="lo", item_id="item_1"), *HELLO[5:], done()],
        "part_index_missing",
        "Hello",
    ),
    "text of a spoken part": ([created(), added(), part("audio"), text("a"), done()], "delta_misfits", ""),
    "a transcript of a text": ([*HELLO[:4], transcript("x"), *HELLO[4:], done()], "delta_misfits", "Hello"),
    "audio that is no base64": (
        [
            created(),
            added(),
            part("audio"),
            event("response.output_audio.delta", delta="?", **where()),
            audio(b"x"),
            done(),
        ],
        "media_invalid",
        "",
    ),
    "text that is no text": (
        [*HELLO[:4], event("response.output_text.delta", delta=7, **where()), *HELLO[4:], done()],
        "delta_misfits",
        "Hello",
    ),
    "text for a call": ([created(), call(), text("a"), call_done("{}"), done()], "delta_misfits", ""),
    "another item on the same place": (
        [*HELLO[:5], added(item="item_2"), finished(item="item_2"), done()],
        "part_index_reused",
        "Hello",
    ),
    "an event without a type": ([*HELLO, {"event_id": "e"}, done()], "", "Hello"),
}


@in_one_test("frames, rule, said", STRAYS.values(), ids=STRAYS)
def test_what_strays_from_the_documents_is_taken_and_counted(
    frames: list[Payload], rule: str, said: str
) -> None:
    came = read(*frames)

    assert came.error is None
    assert came.message.text == said
    if rule:
        assert rule in came.departures
    else:
        assert came.departures == {}


def test_a_call_without_a_name_waits_for_it() -> None:
    nameless = added("function_call", call_id="call_1")
    by_arguments = answer(nameless, arguments("{"), arguments_done("{}", name="get_tide"), call_done("{}"))
    by_item = answer(nameless, call_done("{}"))
    never = answer(nameless, finished("function_call", call_id="call_1"))

    for came in (by_arguments, by_item):
        assert [(one.name, one.arguments_text) for one in came.calls] == [("get_tide", "{}")]
        assert came.departures["call_unnamed"] == 1
    assert (never.calls, never.parts[0].kind) == ([], "opaque")
    assert "call_nameless" in never.departures


def test_a_call_that_was_never_begun_is_taken_from_its_end() -> None:
    came = answer(arguments('{"a"'), arguments_done('{"a": 1}', name="get_tide"), call_done('{"a": 1}'))

    assert [(one.id, one.name, one.arguments) for one in came.calls] == [("call_1", "get_tide", {"a": 1})]
    assert came.departures == {"part_unannounced": 2}


def test_a_fragment_after_its_call_is_ignored() -> None:
    """The call was handed out."""
    came = answer(call(), call_done("{}"), arguments("x"), arguments_done("y"))

    assert [one.arguments_text for one in came.calls] == ["{}"]
    assert came.departures == {"call_after_done": 1}


def test_a_call_without_an_end_is_handed_out_with_a_completed_response_only() -> None:
    frames = [created(), call(), arguments("{}")]

    assert [one.id for one in read(*frames, done()).calls] == ["call_1"]
    assert read(*frames, done(status="incomplete")).calls == []
    assert read(*frames).calls == []


def test_what_is_whole_before_it_was_begun_waits_for_its_item() -> None:
    """The end of a text without a part says nothing yet; the item says it again."""
    ended = event("response.output_text.done", text="Hello", **where())
    came = answer(ended, added(), ended, finished(content=[{"type": "text", "text": "Hello"}]))

    assert (came.message.text, came.departures) == ("Hello", {})


def test_a_call_whose_item_has_no_id_is_handed_out() -> None:
    came = answer(call(item=""), arguments("{}", where(item="")), call_done("{}", item=""))

    assert [(one.id, one.provider_data) for one in came.calls] == [("call_1", None)]


def test_content_of_a_call_is_none_of_the_answer() -> None:
    came = answer(call(), call_done("{}", content=[{"type": "text", "text": "x"}]))

    assert (came.message.text, len(came.calls)) == ("", 1)


def test_an_unknown_item_that_never_ends_is_kept_as_it_began() -> None:
    came = answer(added("mcp_list_tools", server_label="docs"))
    [opaque] = came.parts

    assert (opaque.data["server_label"], came.departures) == ("docs", {"part_unclosed": 1})


def test_what_is_known_of_the_session_goes_on_to_its_responses() -> None:
    of_session = OpenAIRealtime()
    of_session.feed(session(model="gpt-x", output_audio_format="pcm16"))
    one = of_session.of_answer("resp_1").fresh(limits=Limits())
    came = answer(added(), part("audio"), finished(), format=one)
    [media] = came.parts

    assert (came.message.model, media.mime_type, one.ended) == ("gpt-x", "audio/pcm", True)
