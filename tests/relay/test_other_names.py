"""Options and names of relays that are written in another way: the error says how."""

from __future__ import annotations

import pickle
from typing import Any, cast, get_args

import pytest

from tests.support.tables import in_one_test
from tokenstream import relay, testing
from tokenstream.errors import MisuseError
from tokenstream.relay.journal._errors import JournalErrorKind

_IN_TIMING = ("grace", "keep_alive", "open_within", "send_timeout")
_GONE = {
    **{name: rf"timing=relay.Timing\({name}=" for name in _IN_TIMING},
    "drop": "left out, and logged",
    "ids": r"relay.encode\(…, ids=True\)",
    "raw": r"relay.encode\(…, raw=True\)",
    "status": ".status_code of the response",
}
SENDERS = ("respond", "follow", "endpoints", "websocket")
TESTS_ONLY = ("openai-realtime", "gemini-live", "gemini-interactions", "cohere", "tgi", "mistral")


@in_one_test("sender", SENDERS)
@in_one_test("option", _GONE)
def test_an_option_that_is_written_otherwise_says_how(sender: str, option: str) -> None:
    send: Any = getattr(relay, sender)

    with pytest.raises(MisuseError, match=rf"{sender}\(\) has no option {option}=: .*{_GONE[option]}"):
        send(**{option: None})


@in_one_test("timing", [None, 30])
def test_the_times_are_refused_where_they_are_passed(timing: Any) -> None:
    journal = relay.MemoryJournal()
    for send in (
        lambda: cast("Any", relay.respond)(list, timing=timing),
        lambda: relay.follow(journal, "a", timing=timing),
        lambda: relay.endpoints(journal, timing=timing),
    ):
        with pytest.raises(MisuseError, match=r"^timing= takes a relay\.Timing, such as .*, not (30|None)$"):
            send()


@in_one_test("name", ["encode", "payloads"])
def test_a_body_may_lose_what_its_protocol_has_no_place_for(name: str) -> None:
    encode: Any = getattr(relay, name)

    with pytest.raises(MisuseError, match="left out, and logged"):
        encode([], drop="all")
    assert [*encode([], ids=True, raw=True)]


@in_one_test("protocol", [*TESTS_ONLY, "pieces", "carrier pigeon"])
def test_a_format_that_is_no_protocol_is_refused_with_the_protocols(protocol: str) -> None:
    listed = ", ".join(get_args(relay.ProtocolName))
    other: Any = protocol

    for send in (relay.headers, relay.losses, lambda name: relay.encode([], name)):
        with pytest.raises(
            MisuseError, match=f"={protocol!r} is not a protocol of the relay: .* {listed}; .*ui-message"
        ):
            cast("Any", send)(other)
    assert protocol not in TESTS_ONLY or testing.script().text("Hi").finish("stop").chunks(protocol)


@in_one_test("kind", get_args(JournalErrorKind))
def test_the_error_of_a_journal_goes_to_another_process(kind: JournalErrorKind) -> None:
    error = relay.JournalError("no", kind=kind)
    other = pickle.loads(pickle.dumps(error))

    assert (str(error), kind, error.status) == (str(other), other.kind, other.status)
    assert (other.retry_after is not None) == (other.status in (429, 503))
