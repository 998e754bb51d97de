"""Mappings: heads, other fields, errors and options."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.custom.support import HI, STOP, simple
from tests.formats.told import tell
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.errors import MisuseError, ProtocolError, ProviderError
from tokenstream.formats import custom
from tokenstream.framing import EventStreamMessage

# -- the head, and the rest -------------------------------------------------------


def test_id_and_model_are_read_where_the_mapping_has_them() -> None:
    format = custom(text="t", id="meta.id", model="meta.model")
    told = tell(format, {"meta": {"id": 7, "model": "m"}}, {"t": "Hi"}, {"meta": {"id": None, "model": "m2"}})

    assert ("7", "m2", "Hi") == (told.message.id, told.message.model, told.message.text)
    assert None is tell(custom(text="t", id="id"), {"t": "Hi", "id": ""}).message.id
    assert None is tell(custom(text="t", id="id"), {"t": "Hi", "id": True}).message.id


def test_fields_that_no_path_leads_to_are_carried() -> None:
    payloads = [{"t": "a", "at": 1, "x": {"y": 1}, "none": None}, {"t": "b", "at": 2}, {"t": "c", "at": 3}]
    told = tell(custom(text="t"), *payloads)

    assert {"at": 3, "x": {"y": 1}} == told.data
    assert ([("at", 1), ("x", {"y": 1}), ("at", 3)], []) == (told.fields, told.unknown)
    cut = tell(custom(text="t", sentinel="x"), *payloads)
    assert {"at": 3, "x": {"y": 1}} == cut.data


def test_payloads_in_which_no_path_leads_anywhere_are_carried_whole() -> None:
    told = tell(custom(text="t"), {"t": "Hi"}, {"type": "log"}, ("note", {"a": 1}), {"a": 1}, [1], 1)

    assert ["log", "note", "payload", "payload", "payload"] == told.unknown


def test_heartbeats_are_no_content() -> None:
    told = tell(custom(text="t"), ("ping", {}), {"type": "heartbeat"}, b"", b" ", {"t": "Hi"})

    assert ([], "Hi") == (told.unknown, told.message.text)


# -- errors -----------------------------------------------------------------------


@in_one_test(
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
    told = tell(custom(text="t", error="problem"), {"t": "Hi"}, frame, {"t": "no"})

    assert ("overloaded", "Hi", "failed") == (told.failure.kind, told.message.text, told.ending)


def test_a_payload_that_holds_text_is_no_error_by_its_looks() -> None:
    """A server may have its text in `message`, beside a code, and say `error: null`."""
    told = tell(custom(text="message"), {"code": 0, "message": "Hi", "error": None})

    assert (None, "Hi") == (told.error, told.message.text)
    assert "Hi" == tell(custom(text="error"), {"error": "Hi"}).message.text


def test_a_payload_that_is_no_json_is_a_protocol_error() -> None:
    told = tell(simple(), HI[0], b"lo")

    assert isinstance(told.error, ProtocolError)
    assert (2, "Hel") == (told.error.event, told.message.text)


def test_exceptions_of_a_binary_stream_are_errors() -> None:
    """A mapping may stand behind any framing."""
    format = simple()
    message = EventStreamMessage(b'{"message": "m"}', "throttlingException", "exception")
    format.feed(message)

    assert isinstance(format.error, ProviderError)


def _made(options: dict[str, Any]) -> Any:
    """Make a format of options of which only `text` has a usual value."""
    all_options: dict[str, Any] = {"text": "t", **options}
    return custom(**all_options)


# -- options ------------------------------------------------------------------------


@in_one_test(
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
        ({"text": "$.result.delta"}, "is used alone"),
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
    with pytest.raises(MisuseError, match=says):
        _made(options)


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

    assert ("", "complete", {"answer_empty"}) == (told.message.text, told.ending, told.rules)


def test_lines_of_json_are_read_too() -> None:
    """The framing is found out from the bytes."""
    body = b'{"result": {"delta": "Hi"}}\n{"result": {"stop": "done"}}\n'

    assert "Hi" == Stream([body], format=simple()).final().text
