"""A mapping reads a simple server: where its text is, where its end, and nothing else to write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.mutations import changed
from tests.formats.told import DONE, Told, tell
from tests.support import chunkings
from tests.support.beside import needs_recordings
from tests.support.reading import aread, read
from tests.support.recordings import Recorded, shared
from tokenstream import Stream
from tokenstream.errors import MisuseError, ProtocolError, ProviderError, StreamError, StreamTruncated
from tokenstream.events import Ping, TextDelta, Unknown
from tokenstream.formats import custom
from tokenstream.formats._wire.custom_mapping import Custom
from tokenstream.framing import ServerSentEvent
from tokenstream.framing.aws_eventstream import EventStreamMessage
from tokenstream.limits import Limits
from tokenstream.message import Message

if TYPE_CHECKING:
    from tokenstream.formats._custom.mapping import Mapped

HI = [{"result": {"delta": "Hel"}}, {"result": {"delta": "lo"}}]
STOP = {"result": {"stop": "done"}}
NAMED = [("message", HI[0]), ("message", HI[1]), ("message", STOP)]


def simple(**options: Any) -> Custom:
    all_options: dict[str, Any] = {"text": "result.delta", "finish": "result.stop", **options}
    return custom(**all_options)


# -- real servers ---------------------------------------------------------------

MAPPINGS = {
    "watsonx": custom(
        text="results.0.generated_text",
        finish="results.0.stop_reason",
        finish_reasons={"not_finished": None},
        usage={"output_tokens": "results.0.generated_token_count"},
        model="model_id",
    ),
    "replicate": custom(text="", event="output", finish="reason", end="done"),
    "langgraph": custom(
        event="messages",
        text=["0.kwargs.content", "0.kwargs.content.*.text"],
        where={"0.id.2": ["AIMessage", "AIMessageChunk"]},
    ),
}
RECORDED = shared(*MAPPINGS)


@needs_recordings
def test_the_recordings_of_simple_servers_are_found() -> None:
    """The comparison does not pass because there was nothing to compare."""
    assert len(RECORDED) >= 5


@needs_recordings
@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded.name)
def test_a_real_server_is_read_by_one_line(recorded: Recorded) -> None:
    """Text, end and model are what was recorded, at every chunking."""
    format = MAPPINGS[recorded.expected["format"]]
    expected = recorded.expected["choices"][0]
    for chunks in chunkings.several(recorded.body, recorded.name).values():
        reading = read(chunks, format=format)
        message = reading.message

        assert message is not None
        assert (expected["text"], expected["raw_finish_reason"], recorded.expected["model"]) == (
            message.text,
            message.raw_finish_reason,
            message.model,
        )
        assert expected["text"] == reading.text()
        # One of them holds no text where the mapping looks for it.
        rules = {} if expected["text"] else {"answer_empty": 1}
        assert (None, "complete", "custom", rules) == (
            reading.error,
            message.ending,
            reading.format,
            reading.departures,
        )


@pytest.mark.anyio
@needs_recordings
@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded.name)
async def test_a_real_server_is_read_the_same_asynchronously(recorded: Recorded) -> None:
    """`AsyncStream` sees what `Stream` sees."""
    format = MAPPINGS[recorded.expected["format"]]
    chunks = chunkings.seeded(recorded.body, recorded.name)

    assert read(chunks, format=format).seen() == (await aread(chunks, format=format)).seen()


@needs_recordings
@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded.name)
def test_a_real_stream_that_was_cut_is_not_called_complete(recorded: Recorded) -> None:
    """Where anything in the stream is its end, its lack is told; LangGraph's recordings have none."""
    if recorded.expected["format"] == "langgraph":
        return
    body = recorded.body
    for place in range(1, body.rindex(b"data:"), 97):
        reading = read([body[:place]], format=MAPPINGS[recorded.expected["format"]])

        assert isinstance(reading.error, StreamTruncated)


# -- text and reasoning ---------------------------------------------------------


def test_a_path_says_where_the_text_is() -> None:
    """Pieces are joined; the finish reason is the end, in our words and the server's."""
    told = tell(simple(), *HI, STOP)

    assert ("Hello", "stop", "done", "complete") == (
        told.message.text,
        told.message.finish_reason,
        told.message.raw_finish_reason,
        told.message.ending,
    )
    assert (["Hel", "lo"], None, set()) == (told.texts, told.error, told.rules)


@pytest.mark.parametrize(
    ("path", "payload", "text"),
    [
        ("choices.0.text", {"choices": [{"text": "Hi"}]}, "Hi"),
        ("choices.1.text", {"choices": [{"text": "Hi"}]}, ""),
        ("content.*.text", {"content": [{"text": "H"}, {"n": 1}, 1, {"text": "i"}]}, "Hi"),
        ("content.*.*", {"content": [["H"], ["i", 1]]}, "Hi"),
        ("*.t", {"*": {"t": "Hi"}}, "Hi"),
        ("a.*.t", {"a": {"*": {"t": "Hi"}}}, "Hi"),
        ("a.*.*", {"a": {"*": ["H", "i"]}}, "Hi"),
        ("a.*.*", {"a": {"b": ["H", "i"]}}, ""),
        ("0.1", {"0": {"1": "Hi"}}, "Hi"),
        ("token.text", {"token": "Hi"}, ""),
        ("token", {"token": {"text": "Hi"}}, ""),
        ("token", {"token": None}, ""),
        ("9999999999", {"9999999999": "Hi"}, "Hi"),
        ("$", "Hi", "Hi"),
        ("0.t", [{"t": "Hi"}], "Hi"),
        (["a", "b"], {"b": "Hi"}, "Hi"),
        (["a", "b"], {"a": "Hi", "b": "again"}, "Hi"),
        (("a", "b"), {"a": "", "b": "again"}, ""),
    ],
)
def test_paths_lead_through_objects_and_lists(path: Any, payload: Any, text: str) -> None:
    """Digits are an index in a list and a key in an object; `*` is every item; what is no text is none."""
    told = tell(custom(text=path), payload, payload)

    assert text * 2 == told.message.text


def test_reasoning_has_a_path_of_its_own() -> None:
    """It is a part before the text."""
    told = tell(custom(text="t", reasoning="r"), {"r": "Hm"}, {"r": "!", "t": "Hi"}, {"t": "!"})

    assert ("Hm!", "Hi!") == (told.message.reasoning, told.message.text)


def test_only_the_named_events_hold_text() -> None:
    """Events of another name are carried, whatever their data."""
    told = tell(
        custom(text="t", event=["token", "message"]),
        ("token", {"t": "H"}),
        {"t": "i"},
        ("log", {"t": "no"}),
        ("log", b"no JSON"),
        ("log", b"[1]"),
    )

    assert ("Hi", ["log", "log", "log"]) == (told.message.text, told.unknown)
    assert [{"t": "no"}, "no JSON", [1]] == [e.data for e in told.events if isinstance(e, Unknown)]


def test_only_payloads_that_say_so_hold_text() -> None:
    """One value or several to choose from, by path."""
    format = custom(text="t", where={"type": "delta", "n": [1, 2]})
    told = tell(
        format,
        {"type": "delta", "n": 1, "t": "H"},
        {"type": "delta", "n": 2, "t": "i"},
        {"type": "delta", "n": 3, "t": "no"},
        {"type": "final", "n": 1, "t": "no"},
    )

    assert ("Hi", ["delta", "final"]) == (told.message.text, told.unknown)


def test_bare_data_are_text_as_they_stand() -> None:
    """White space, JSON and all; what is empty is a sign of life."""
    told = tell(
        custom(text="", event="output", end="done"),
        *[("output", piece) for piece in (b"", b" ", b"\n", b'{"a": 1}', b"[DONE]")],
        ("logs", b"x"),
        ("done", b""),
    )

    assert (' \n{"a": 1}[DONE]', ["logs"]) == (told.message.text, told.unknown)
    assert ("complete", "done", None) == (told.message.ending, told.message.raw_finish_reason, told.error)


def test_bare_data_need_no_event_name() -> None:
    """By default those of events without a name."""
    told = tell(custom(text="", sentinel="[DONE]"), b"Hel", b"lo", ("note", {"x": 1}), DONE)

    assert ("Hello", ["note"], "complete") == (told.message.text, told.unknown, told.message.ending)


# -- the end --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "raw", "reason"),
    [
        ("stop", "stop", "stop"),
        ("eos_token", "eos_token", "stop"),
        ("max_tokens", "max_tokens", "length"),
        ("mine", "mine", "content_filter"),
        ("brand-new", "brand-new", "unknown"),
        (True, "true", "stop"),
        (1, "1", "unknown"),
    ],
)
def test_finish_reasons_have_our_words(value: Any, raw: str, reason: str) -> None:
    """The usual words are known, others can be given; true is one as well."""
    told = tell(simple(finish_reasons={"mine": "content_filter"}), *HI, {"result": {"stop": value}})

    assert (reason, raw) == (told.message.finish_reason, told.message.raw_finish_reason)


def test_a_finish_reason_may_stand_in_any_item_of_a_list() -> None:
    """The first that there is counts."""
    format = custom(text="c.*.t", finish="c.*.stop")
    told = tell(format, {"c": [{"t": "Hi"}]}, {"c": [{"t": "!"}, {"stop": "length"}, {"stop": "stop"}]})

    assert ("Hi!", "length") == (told.message.text, told.message.finish_reason)


@pytest.mark.parametrize("value", [None, False, "", [], "not_yet"])
def test_what_is_no_end_is_none(value: Any) -> None:
    """Some servers fill the field in from the start."""
    format = simple(finish_reasons={"not_yet": None})
    payloads = [{"result": {"delta": "x", "stop": value}}, *HI]

    assert isinstance(tell(format, *payloads).error, StreamTruncated)


def test_without_an_end_in_the_mapping_the_end_of_the_input_is_the_answers() -> None:
    """Nothing else could tell it; an empty body is truncated all the same."""
    assert "complete" == tell(custom(text="t"), {"t": "Hi"}).message.ending
    assert isinstance(tell(custom(text="t")).error, StreamTruncated)


@pytest.mark.parametrize("options", [{"sentinel": "[DONE]"}, {"end": "end"}, {"finish": "f"}])
def test_an_end_that_the_mapping_has_must_come(options: dict[str, Any]) -> None:
    """A cut stream is not called complete."""
    told = tell(custom(text="t", **options), {"t": "Hi"})

    assert isinstance(told.error, StreamTruncated)
    assert "truncated" == told.message.ending


def test_a_sentinel_is_the_end() -> None:
    """Its lack, and the lack of a reason before it, are departures where the mapping has both."""
    format = simple(sentinel=" [END] ")

    assert set() == tell(format.fresh(limits=Limits(), pings=False), *HI, STOP, b"[END]").rules
    assert {"done_missing"} == tell(format.fresh(limits=Limits(), pings=False), *HI, STOP).rules
    assert {"finish_missing"} == tell(format.fresh(limits=Limits(), pings=False), *HI, b" [END]").rules
    assert set() == tell(custom(text="t", sentinel="[END]"), {"t": "Hi"}, b"[END]").rules


def test_the_event_that_is_the_end_may_say_more() -> None:
    """A reason, usage, an error: what paths lead to is read; else its name is the reason."""
    format = custom(text="t", finish="reason", end=["done", "end"], usage={"output_tokens": "n"})
    whole = tell(
        format.fresh(limits=Limits(), pings=False), {"t": "Hi"}, ("done", {"reason": "canceled", "n": 3})
    )
    named = tell(format.fresh(limits=Limits(), pings=False), {"t": "Hi"}, ("end", b"null"), {"t": "late"})
    odd = tell(custom(text="t", end="over"), {"t": "Hi"}, ("over", {}))
    failed = tell(
        format.fresh(limits=Limits(), pings=False), {"t": "Hi"}, ("done", {"error": {"message": "m"}})
    )

    assert ("cancelled", 3) == (
        whole.message.finish_reason,
        whole.message.usage and whole.message.usage.output_tokens,
    )
    assert ("stop", "end", {"data_after_end"}) == (
        named.message.finish_reason,
        named.message.raw_finish_reason,
        named.rules,
    )
    assert ("unknown", "over") == (odd.message.finish_reason, odd.message.raw_finish_reason)
    assert isinstance(failed.error, ProviderError)


def test_what_comes_between_the_reason_and_the_end_is_read() -> None:
    """Usage often does."""
    format = simple(usage={"input_tokens": "usage.in", "output_tokens": "usage.out", "cost": "usage.cost"})
    told = tell(format, *HI, STOP, {"usage": {"in": 9, "out": 4.0, "cost": 0.5}}, {"usage": {"out": None}})
    usage = told.message.usage

    assert usage is not None
    assert (9, 4, 0.5) == (usage.input_tokens, usage.output_tokens, usage.cost)
    assert {"input_tokens": 9, "output_tokens": 4, "cost": 0.5} == usage.provider_data


def test_the_same_usage_is_told_once() -> None:
    """Many servers repeat it with every piece."""
    format = custom(text="t", usage={"output_tokens": "n"})
    told = tell(format, {"t": "a", "n": 1}, {"t": "b", "n": 1}, {"t": "c", "n": 2})

    assert 2 == sum(type(event).__name__ == "UsageUpdate" for event in told.events)


# -- the head, and the rest -------------------------------------------------------


def test_id_and_model_are_read_where_the_mapping_has_them() -> None:
    """An id may be a number."""
    format = custom(text="t", id="meta.id", model="meta.model")
    told = tell(format, {"meta": {"id": 7, "model": "m"}}, {"t": "Hi"}, {"meta": {"id": None, "model": "m2"}})

    assert ("7", "m2", "Hi") == (told.message.id, told.message.model, told.message.text)
    assert None is tell(custom(text="t", id="id"), {"t": "Hi", "id": ""}).message.id
    assert None is tell(custom(text="t", id="id"), {"t": "Hi", "id": True}).message.id


def test_fields_that_no_path_leads_to_are_carried() -> None:
    """The first value at once, and the last where it changed, with the end."""
    payloads = [{"t": "a", "at": 1, "x": {"y": 1}, "none": None}, {"t": "b", "at": 2}, {"t": "c", "at": 3}]
    told = tell(custom(text="t"), *payloads)

    assert {"at": 3, "x": {"y": 1}} == told.message.provider_data
    assert [("at", 1), ("x", {"y": 1}), ("at", 3)] == [
        (event.name, event.data) for event in told.events if isinstance(event, Unknown)
    ]
    cut = tell(custom(text="t", sentinel="x"), *payloads)
    assert {"at": 3, "x": {"y": 1}} == cut.message.provider_data


def test_payloads_in_which_no_path_leads_anywhere_are_carried_whole() -> None:
    """Under the event's name, or the payload's type."""
    told = tell(custom(text="t"), {"t": "Hi"}, {"type": "log"}, ("note", {"a": 1}), {"a": 1}, [1], 1)

    assert ["log", "note", "payload", "payload", "payload"] == told.unknown


def test_signs_of_life_are_no_content() -> None:
    """By event name, by type, or empty."""
    format = custom(text="t").fresh(limits=Limits(), pings=True)
    told = tell(format, ("ping", {}), {"type": "heartbeat"}, b"", b" ", {"t": "Hi"})

    assert (4, [], "Hi") == (
        sum(isinstance(event, Ping) for event in told.events),
        told.unknown,
        told.message.text,
    )


# -- errors -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        {"error": {"message": "Overloaded"}},
        {"error": "Overloaded", "t": ""},
        {"type": "error", "message": "Overloaded"},
        {"code": 1, "message": "Overloaded"},
        ("error", {"detail": "Overloaded"}),
        ("error", {"errors": [{"code": "x", "message": "Overloaded"}]}),
        ("error", b"Overloaded"),
        {"problem": {"message": "Overloaded"}},
        {"problem": "Overloaded"},
        {"problem": 503},
    ],
)
def test_an_error_is_found_in_the_usual_places_and_in_the_mappings(frame: Any) -> None:
    """What came before it is kept."""
    told = tell(custom(text="t", error="problem"), {"t": "Hi"}, frame, {"t": "no"})

    assert isinstance(told.error, ProviderError)
    assert ("overloaded", "Hi", "failed") == (told.error.kind, told.message.text, told.message.ending)


def test_a_payload_that_holds_text_is_no_error_by_its_looks() -> None:
    """A server may have its text in `message`, beside a code, and say `error: null`."""
    told = tell(custom(text="message"), {"code": 0, "message": "Hi", "error": None})

    assert (None, "Hi") == (told.error, told.message.text)
    assert "Hi" == tell(custom(text="error"), {"error": "Hi"}).message.text


def test_a_payload_that_is_no_json_is_a_protocol_error() -> None:
    """It says which frame, and that JSON was expected."""
    told = tell(simple(), HI[0], b"lo")

    assert isinstance(told.error, ProtocolError)
    assert (2, "Hel") == (told.error.event, told.message.text)


def test_exceptions_of_a_binary_stream_are_errors() -> None:
    """A mapping may stand behind any framing."""
    format = simple()
    message = EventStreamMessage(b'{"message": "m"}', "throttlingException", "exception")
    format.feed(message)

    assert isinstance(format.error, ProviderError)


# -- options ------------------------------------------------------------------------


def _made(options: dict[str, Any]) -> Custom:
    """Make a format of options of which only `text` has a usual value."""
    all_options: dict[str, Any] = {"text": "t", **options}
    return custom(**all_options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"text": 1}, "text=1 is not a path"),
        ({"text": None}, "text"),
        ({"text": []}, "holds no path"),
        ({"text": ["a", 1]}, "is not a path"),
        ({"text": "a..b"}, "one dot between"),
        ({"text": ".a"}, "one dot between"),
        ({"text": "choices[0].text"}, "one dot between"),
        ({"text": "choices[*].text"}, "one dot between"),
        ({"text": "$.result.delta"}, "stands alone"),
        ({"finish": ""}, "one dot between"),
        ({"usage": {"tokens": "n"}}, "output_tokens"),
        ({"usage": {"output_tokens": "a..b"}}, "usage"),
        ({"finish_reasons": {"x": "halt"}}, "content_filter"),
        ({"event": ""}, "name of an SSE event"),
        ({"event": []}, "name of an SSE event"),
        ({"end": ["done", 1]}, "name of an SSE event"),
        ({"where": {"": 1}}, "one dot between"),
        ({"where": "type"}, "give a dict"),
        ({"where": {"type": []}}, "holds no value"),
        ({"usage": "usage.out"}, "give a dict"),
        ({"finish_reasons": ["eos"]}, "give a dict"),
        ({"sentinel": " "}, r"\[DONE\]"),
        ({"sentinel": b"[DONE]"}, r"\[DONE\]"),
        ({"text": "", "where": {"a": 1}}, "leave reasoning= and where= out"),
    ],
)
def test_an_option_that_makes_no_sense_says_what_to_do(options: dict[str, Any], says: str) -> None:
    """At once, and not with the first payload."""
    with pytest.raises(MisuseError, match=says):
        _made(options)


def test_one_mapping_serves_many_streams() -> None:
    """What it was used for is not remembered."""
    format = simple()
    body = [b'data: {"result": {"delta": "Hi", "stop": "done"}}\n\n']

    assert ["Hi", "Hi"] == [Stream(body, format=format).final().text for _ in range(2)]
    assert (0, "custom") == (format.frames, format.name)


def test_a_mapping_is_never_detected() -> None:
    """Whoever has one passes it."""
    assert Custom.recognises({"result": {"delta": "Hi"}}, "") is False


@pytest.mark.parametrize(
    "chunks",
    [
        [b'{"result": {"delta": "Hi", "stop": "done"}}'],
        [b'[{"result": {"delta": "Hi"}}, {"result": {"stop": "done"}}]'],
    ],
)
def test_a_server_that_does_not_stream_is_read_too(chunks: list[bytes]) -> None:
    """A first chunk may be a whole JSON document: the name of a mapping is in no registry."""
    assert "Hi" == Stream(chunks, format=simple()).final().text


def test_a_path_that_leads_nowhere_shows_as_an_empty_answer() -> None:
    """A misspelt path is no error that could be told from silence, but it is counted."""
    told = tell(simple(text="result.detla"), *HI, STOP)

    assert ("", "complete", {"answer_empty"}) == (told.message.text, told.message.ending, told.rules)


def test_a_finish_reason_that_is_no_json_is_a_protocol_error() -> None:
    """Only payloads that were made in Python can hold such."""
    told = tell(simple(), {"result": {"stop": {1}}}, plain=True)

    assert isinstance(told.error, ProtocolError)


def test_lines_of_json_are_read_too() -> None:
    """The framing is found out from the bytes."""
    body = b'{"result": {"delta": "Hi"}}\n{"result": {"stop": "done"}}\n'

    assert "Hi" == Stream([body], format=simple()).final().text


def test_payloads_that_were_decoded_elsewhere_are_read() -> None:
    """SDKs hand over dicts."""
    told = tell(simple(), *HI, STOP, plain=True)

    assert ("Hello", None) == (told.message.text, told.error)


# -- the short way --------------------------------------------------------------------


class Plain(Custom):
    """The format without its short way."""

    def __init__(self, mapped: Mapped) -> None:
        super().__init__(mapped)
        self.shortcuts = False


OPTIONS: dict[str, Any] = {
    "text": ["result.delta", "results.*.t"],
    "reasoning": "result.think",
    "finish": "result.stop",
    "id": "id",
    "model": "model",
    "usage": {"output_tokens": "n"},
    "where": {"kind": "delta"},
    "end": "done",
    "error": "problem",
}
PAYLOADS: list[Any] = [
    {"kind": "delta", "id": "a", "model": "m", "result": {"delta": "Hel"}, "n": 1},
    {"kind": "delta", "id": "a", "model": "m", "result": {"delta": "lo"}, "n": 1},
    {"kind": "delta", "results": [{"t": "x"}, {"t": "y"}]},
    {"kind": "delta", "result": {"think": "Hm"}, "at": 1},
    {"kind": "end", "result": {"stop": "stop"}, "n": 3},
    {"problem": None, "other": {"a": [1]}},
    {"error": {"message": "m"}},
    ("done", {"result": {"stop": "length"}}),
]


def outcome(format: Custom, payloads: list[Any], *, plain: bool = False) -> Told:
    return tell(format, *payloads, plain=plain)


@given(payloads=changed(PAYLOADS))
def test_whatever_a_server_sends_only_our_errors_come_out(payloads: list[Any]) -> None:
    """And what was given is what the message holds."""
    format = custom(**OPTIONS)
    told = outcome(format, payloads)

    assert told.error is None or isinstance(told.error, StreamError)
    assert "".join(told.texts) == told.message.text
    assert Message.model_validate_json(told.message.model_dump_json()) == told.message
    plain = Plain(format.mapped)
    assert outcome(plain, payloads).outcome == told.outcome
    outcome(custom(**OPTIONS), [p for p in payloads if isinstance(p, dict)], plain=True)


@given(
    pieces=st.lists(st.one_of(st.text(max_size=4), st.sampled_from(["a", "\ud83d", "\ude00"])), max_size=40),
    extra=st.lists(st.sampled_from([{}, {}, {}, {"at": 1}, {"at": 2}, {"error": "m"}]), max_size=40),
    name=st.sampled_from(["message", "token"]),
)
@pytest.mark.parametrize("path", ["result.0.delta", "result.*.delta", "0.delta", "$"])
def test_pieces_read_at_a_glance_give_what_reading_gives(
    path: str, pieces: list[str], extra: list[dict[str, Any]], name: str
) -> None:
    """Whatever the text is, and whatever else the server says."""
    frames: list[Any] = []
    for piece, more in zip(pieces, [*extra, *[{}] * len(pieces)], strict=False):
        payload: Any = {"result": [{"delta": piece}], **more}
        if path == "$":
            payload = piece
        elif path == "0.delta":
            payload = [{"delta": piece}]
        data = json.dumps(payload).encode()
        frames.append(data if name == "message" else ServerSentEvent(data, name))
    format = custom(text=path)

    assert tell(Plain(format.mapped), *frames).outcome == tell(format, *frames).outcome


@pytest.mark.parametrize("chunking", ["whole", "per event", "bytes"])
def test_a_whole_stream_is_the_same_at_every_chunking(chunking: str) -> None:
    """Chunks of one event each are read at a glance, others are not."""
    events = [{"result": {"delta": f"{n}é"}} for n in range(60)] + [STOP]
    body = "".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events).encode()
    reading = read(chunkings.several(body, "custom")[chunking], format=simple())

    assert "".join(f"{n}é" for n in range(60)) == reading.text()
    assert (None, {}) == (reading.error, reading.departures)


def test_events_of_another_name_are_not_mistaken_for_text() -> None:
    """Also when their payload looks the same."""
    piece = {"t": "a"}
    frames = [*[("token", piece)] * 9, ("log", piece), *[("token", piece)] * 3]
    told = tell(custom(text="t", event="token"), *frames)

    assert ("a" * 12, ["log"]) == (told.message.text, told.unknown)
    assert [piece] * 12 == [event.raw for event in told.events if isinstance(event, TextDelta)]


@pytest.mark.parametrize(
    ("options", "last"),
    [
        ({"where": {"t": ["a", "b"]}}, "c"),
        ({"where": {"*": ["a", "b"]}}, "c"),
        ({"finish": "t", "finish_reasons": {"a": None, "b": None}}, "c"),
        ({"id": "t"}, "c"),
        ({"model": "$"}, "c"),
        ({"error": "t.x"}, "c"),
        ({"sentinel": '{"t":"END"}'}, "END"),
        ({"text": "p", "reasoning": "t"}, "c"),
        ({"text": ["t.0", "t"]}, "c"),
    ],
    ids=repr,
)
def test_a_text_that_means_something_else_besides_is_read_each_time(
    options: dict[str, Any], last: str
) -> None:
    """Its place may be asked for a condition or for the end; a sentinel may look like it."""
    all_options: dict[str, Any] = {"text": "t", **options}
    format = custom(**all_options)
    texts = [each.encode() for each in [*"aaabbbab", last, "a"]]
    alone = [b'{"t":"%b"}' % each for each in texts]
    twice = [b'{"t":"%b","p":"%b"}' % (each, each) for each in texts]
    for frames in (alone, twice):
        quick, plain = Custom(format.mapped), Plain(format.mapped)

        assert tell(plain, *frames).outcome == tell(quick, *frames).outcome


def test_pieces_whose_names_are_digits_are_read_at_a_glance(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a list they count, and in an object they are keys."""
    decoded: list[object] = []
    read_value = Custom._read_value  # noqa: SLF001 - what is decoded is counted

    def counting(self: Custom, data: Any, event: str) -> None:
        decoded.append(data)
        read_value(self, data, event)

    monkeypatch.setattr(Custom, "_read_value", counting)
    for payload in ({"a": [{"t": "x"}]}, {"a": {"0": {"t": "x"}}}):
        assert "x" * 20 == tell(custom(text="a.0.t"), *[payload] * 20).message.text

    assert 4 == len(decoded)
