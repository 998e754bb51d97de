"""One connection: payloads that are broken, misused or out of bounds."""

from __future__ import annotations

from typing import Any

import pytest

from tests._connection.support import read
from tests.stream.bodies import ANSWER, chunk
from tests.support.tables import in_one_test
from tokenstream import Limits, Stream
from tokenstream.errors import LimitExceeded, MisuseError, ProtocolError


def test_a_payload_whose_keys_are_no_text_is_misuse() -> None:
    good = {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    odd: Any = {1: 2}
    stream = Stream(iter([good, odd]))
    with pytest.raises(MisuseError, match="key that is not text"):
        stream.final()

    assert stream.closed
    assert (stream.message.text, stream.message.ending) == ("Hi", "stopped")


@pytest.mark.parametrize("choices", [[{1: 2}], [{"index": 0, "delta": {"content": "?", None: 1}}]])
def test_an_object_in_a_payload_whose_keys_are_no_text_is_a_fault(choices: Any) -> None:
    """Deep in a payload it is found where it is read."""
    good: Any = {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    stream = Stream(iter([good, {"choices": choices}]))
    with pytest.raises(ProtocolError, match=r"frame 2: .* key that is not text") as caught:
        stream.final()

    assert stream.closed
    assert caught.value.partial.text == "Hi"


def test_narrow_bounds_on_payloads_hold() -> None:
    """Depth and digits below what the decoder itself would take."""
    for limits, name in ((Limits(depth=3), "depth"), (Limits(digits=3), "digits")):
        decoder = read(chunk({"content": "Hi"}, created=12345), 1000, limits=limits)

        assert isinstance(decoder.error, LimitExceeded)
        assert decoder.error.limit == name


@in_one_test("size", [1, 7, 1000])
@in_one_test("before, number", [([], 1), ([b"event: ping\ndata: {}\n\n"], 2), (ANSWER[:3], 4)])
@in_one_test("format", [None, "openai-chat"])
def test_malformed_json_is_named_by_its_event_and_offset(
    size: int, before: list[bytes], number: int, format: str | None
) -> None:
    """Events are counted as they came, pings too, before the format is known and after."""
    decoder = read(b"".join([*before, b'data: {"choices": [}\n\n', *ANSWER]), size, format=format)

    assert isinstance(decoder.error, ProtocolError)
    assert (decoder.error.event, decoder.error.offset) == (number, 13)
    assert f"frame {number}:" in str(decoder.error)


def test_frames_before_the_format_was_known_count() -> None:
    """A departure is found at the number of its frame."""
    ping = b"event: ping\ndata: {}\n\n"
    decoder = read(b"".join([ping, ping, chunk({"content": "a"}), b"data: \n\n", *ANSWER]), 9)

    assert decoder.departures["skipped"].first_event == 4


@pytest.mark.parametrize("deep", [{}, []], ids=["objects", "arrays"])
def test_a_decoded_payload_is_bounded_in_depth_as_a_body_is(deep: Any) -> None:
    """Whoever decoded it may have had no bound; what reads it would not come back up."""
    for _ in range(5_000):
        deep = {"a": deep} if isinstance(deep, dict) else [deep]
    good = {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    with pytest.raises(LimitExceeded) as caught:
        Stream(iter([good, {"choices": [{"index": 0, "delta": {"x": deep}}]}])).final()

    assert ("depth", "Hi") == (caught.value.limit, caught.value.partial.text)
    with pytest.raises(LimitExceeded, match="depth"):
        Stream(iter([{"x": deep}])).final()
