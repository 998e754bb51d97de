"""Token counts where a server sends none: a usage without counts, which is false."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.encoders import READ_BACK, read_as
from tests.support.tables import in_one_test
from tokenstream import Message, Retry, Stream, Usage, relay, resilient, testing
from tokenstream.errors import StreamError
from tokenstream.events import Restarted, UsageUpdate
from tokenstream.formats import FormatName

UNCOUNTED = testing.script().text("Hel", "lo").finish()
COUNTS = [name for name in Usage.model_fields if name not in ("basis", "provider_data")]
_USAGES = st.builds(Usage, **dict.fromkeys(COUNTS, st.none() | st.integers(0, 9))) | st.builds(Usage)


def _shown(usage: Usage) -> tuple[Any, ...]:
    return bool(usage), usage.basis, usage.input_tokens, usage.output_tokens


NOTHING = (False, "none", None, None)


@pytest.mark.parametrize("format", ["openai-chat", "openai-responses", "ollama", "gemini", "text"])
def test_a_usage_is_there_at_any_time(format: FormatName) -> None:
    """Before, between and after the pieces, so that a program may read its counts without asking first."""
    stream = Stream(UNCOUNTED.chunks(format), format=format)
    seen = [_shown(stream.message.usage)]
    seen += [_shown(stream.message.usage) for _ in stream]
    stream.final()

    assert {NOTHING} == {*seen, _shown(stream.message.usage)}


def test_an_answer_that_never_began_has_a_usage() -> None:
    with pytest.raises(StreamError) as caught:
        Stream([b""], format="openai-chat").final()

    assert NOTHING == _shown(caught.value.partial.usage)


def test_a_usage_with_a_report_is_true() -> None:
    assert [True, True, False] == [
        bool(Usage(input_tokens=0)),
        bool(Usage(provider_data={"x": 1})),
        bool(Usage()),
    ]
    assert "reported" == Usage(provider_data={"prompt_tokens": None}).basis


@given(st.lists(_USAGES))
def test_a_usage_without_counts_adds_nothing(usages: list[Usage]) -> None:
    assert sum(usages, start=Usage()) == sum([each for each in usages if each], start=Usage())
    assert bool(sum(usages, start=Usage())) == any(usages)


def test_attempts_without_counts_have_a_usage() -> None:
    bodies = iter(
        [UNCOUNTED.chunks("openai-chat")[:2], UNCOUNTED.usage(output_tokens=5).chunks("openai-chat")]
    )
    stream = resilient(lambda: next(bodies), Retry(again=True, wait=0))
    stream.final()

    estimated, counted = (True, "estimated", None, 1), (True, "reported", None, 5)
    assert [estimated, counted] == [_shown(report.usage) for report in stream.attempts]
    assert ("partial", 5) == (stream.message.usage.basis, stream.message.usage.output_tokens)


@in_one_test("protocol", [name for name in READ_BACK if name != "text"])
def test_a_relay_sends_no_counts_where_none_came(protocol: Any) -> None:
    stream = Stream(UNCOUNTED.chunks("openai-chat"), format="openai-chat")
    heard = Stream(relay.encode(stream, protocol), format=read_as(protocol))
    heard.final()

    assert "Hello" == heard.message.text
    assert not any(getattr(heard.message.usage, name) for name in COUNTS)


@pytest.mark.parametrize(
    ("usage", "written"),
    [
        (Usage(), {}),
        (Usage(output_tokens=2), {"output_tokens": 2}),
        (Usage(basis="reported"), {"basis": "reported"}),
        (Usage(output_tokens=2, basis="partial"), {"output_tokens": 2, "basis": "partial"}),
    ],
    ids=repr,
)
def test_a_record_tells_a_source_only_where_its_reader_would_take_another(
    usage: Usage, written: dict[str, Any]
) -> None:
    """Counts without a source were reported, and no counts at all are no report."""
    record, _ = relay.payloads([UsageUpdate(usage)])

    assert written == record["usage"]
    assert usage == Usage.model_validate(record["usage"])


def test_a_message_without_counts_is_a_record_without_usage() -> None:
    """The discarded answer of a restart has one as every message has."""
    written, _ = relay.encode([Restarted(Message(id="m", model="x"))], raw=True)

    assert b'"model":"x"' in written
    assert b"usage" not in written
