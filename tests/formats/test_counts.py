"""Token counts of one answer: zeros that stand for no count, and counts that replace each other."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.recordings import Recorded, folders, frames_of, ours, shared
from tests.support.tables import in_one_test
from tests.support.wire import DONE, chat, sse
from tokenstream import Stream, relay, testing
from tokenstream.errors import StreamError
from tokenstream.events import UsageUpdate
from tokenstream.formats._kit.openai import usage_of

Payload = dict[str, Any]
_COUNT = st.none() | st.integers(0, 3)
_REPORTS = st.lists(st.fixed_dictionaries({"prompt_tokens": _COUNT, "completion_tokens": _COUNT}), min_size=2)


def _chat(*reports: Payload, finish: str = "stop") -> list[bytes]:
    """Return a chat completion whose chunks have these reports; the second has the finish reason."""
    chunks = [
        chat({} if number else {"content": "Ja"}, finish if number == 1 else None, usage=report)
        for number, report in enumerate(reports)
    ]
    return [*chunks, DONE]


def _anthropic(start: Payload, *ends: Payload, reason: str = "end_turn") -> list[bytes]:
    head = {"id": "msg_7", "type": "message", "role": "assistant", "content": [], "usage": start}
    payloads: list[Payload] = [
        {"type": "message_start", "message": head},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Ja"}},
        {"type": "content_block_stop", "index": 0},
        *[{"type": "message_delta", "delta": {"stop_reason": reason}, "usage": end} for end in ends],
        {"type": "message_stop"},
    ]
    return [sse(payload, event=payload["type"]) for payload in payloads]


def _usage(body: list[bytes]) -> tuple[int | None, int | None, int | None]:
    usage = Stream(body).final().usage
    return usage.input_tokens, usage.output_tokens, usage.total_tokens


def _openai(prompt: int, completion: int, **others: Any) -> Payload:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion}
    return {**counts, "total_tokens": prompt + completion, **others}


@given(_REPORTS)
def test_only_a_zero_after_a_positive_count_is_left_out(reports: list[Payload]) -> None:
    """Other counts may fall. A total that was summed up with such zeros has what they stand for."""
    is_whole = all(None not in report.values() for report in reports)
    totals = [{"total_tokens": sum(report.values())} if is_whole else {} for report in reports]
    counted: Any = _usage(_chat(*[report | total for report, total in zip(reports, totals, strict=True)]))

    assert counted[2] == (sum(map(int, counted[:2])) if is_whole else None)
    for name, count in zip(("prompt_tokens", "completion_tokens"), counted, strict=False):
        sent = [value for report in reports if (value := report[name]) is not None]
        positive = [value for value in sent if value]

        assert (positive or sent or [None])[-1] == count


def test_each_event_reports_what_the_message_counts() -> None:
    """A reader that merges the reports itself gets the same counts as the message has."""
    body = _chat(_openai(9, 4, prompt_tokens_details={"cached_tokens": 6}), _openai(0, 0, cached_tokens=0))
    reports = [event.usage for event in Stream(body) if isinstance(event, UsageUpdate)]

    assert (None, None, None) == (
        reports[-1].input_tokens,
        reports[-1].output_tokens,
        reports[-1].cached_tokens,
    )
    assert {"prompt_tokens": 0, "completion_tokens": 0} == {
        name: reports[-1].provider_data[name] for name in ("prompt_tokens", "completion_tokens")
    }


def test_a_refusal_may_take_back_the_output() -> None:
    """Anthropic counts no output of an answer that it refuses; its gateways in the form of chat, neither."""
    refused = _anthropic(
        {"input_tokens": 9, "output_tokens": 1}, {"input_tokens": 0, "output_tokens": 0}, reason="refusal"
    )

    assert (9, 0, None) == _usage(refused)
    assert (9, 0, 9) == _usage(_chat(_openai(9, 1), _openai(9, 1), _openai(9, 0), finish="refusal"))


def _iterations(listed: str) -> list[Payload]:
    """Return the counts of an answer's requests: for a type, and perhaps a model, input, output, cached."""
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    read = [(*each.split(":"), None)[:3] for each in listed.split()]
    counts = [map(int, numbers.split(",")) for _, numbers, _ in read if numbers]
    found = [dict(zip(names, numbers, strict=False)) for numbers in counts]
    return [
        {"type": kind, "model": model, **each} for (kind, _, model), each in zip(read, found, strict=True)
    ]


@pytest.mark.parametrize(
    ("top", "listed", "billed"),
    [
        ((60, 7), "compaction:700,30 message:60,7", (760, 37, 60)),
        ((0, 0), "compaction:700,30", (700, 30, None)),
        ((0, 7), "compaction:700,30", (700, 37, None)),
        ((120, 14), "compaction:700,30 message:60,7 compaction:600,20 message:60,7", (1420, 64, 60)),
        ((60, 7), "message:60,7", (60, 7, 60)),
        ((60, 7), "", (60, 7, None)),
        ((60, 9), "message:60,7 advisor_message:80,40:b message:5,2,62", (145, 49, 67)),
        ((65, 9), "message:60,3:a message:60,2:b fallback_message:5,7:b", (65, 9, 5)),
    ],
)
@pytest.mark.parametrize("start", [900, 1])
@pytest.mark.parametrize("repeats", [(1,), (1, 1), (1, 0)])
def test_anthropics_counts_are_those_of_all_requests_of_the_answer(
    top: Any, listed: str, billed: Any, start: int, repeats: tuple[int, ...]
) -> None:
    """The totals leave out compactions, advisors and, with these, all requests but the first.

    What a model has declined before its fallback is not billed. A later report may repeat the list, or not.
    """
    totals = {"input_tokens": top[0], "output_tokens": top[1]}
    ends = [{**totals, "iterations": _iterations(listed) if has_list else None} for has_list in repeats]
    usage = Stream(_anthropic({"input_tokens": start, "output_tokens": 1}, *ends)).final().usage

    assert billed == (usage.input_tokens, usage.output_tokens, usage.context_tokens)


def test_what_costs_more_or_less_than_other_tokens_is_told_apart() -> None:
    """An advisor, a cache of an hour and a search have prices of their own; our own protocol has them."""
    end = {
        "input_tokens": 60,
        "cache_creation_input_tokens": 9,
        "cache_creation": {"ephemeral_1h_input_tokens": 9},
        "server_tool_use": {"web_search_requests": 2},
        "iterations": _iterations("message:60,7,0,9 advisor_message:80,40,11:b"),
    }
    body = _anthropic({"input_tokens": 60, "output_tokens": 1}, end)
    relayed = b"".join(relay.encode(Stream(body), "tokenstream"))
    for usage in (Stream(body).final().usage, Stream([relayed]).final().usage):
        others = (usage.other_input_tokens, usage.other_output_tokens, usage.other_cached_tokens)
        assert ((80, 40, 11), 140, 47, 11) == (
            others,
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_tokens,
        )
        assert (9, 2, 69) == (usage.cache_write_1h_tokens, usage.web_searches, usage.context_tokens)


def test_what_the_tools_of_a_response_have_used_is_counted() -> None:
    """OpenAI reports the tokens of an image's model, and searches, beside the usage."""
    images = {"input_tokens": 50, "output_tokens": 1_000}
    tools = {"image_gen": images, "web_search": {"num_requests": 3}}
    response = {"id": "r", "object": "response", "output": [], "status": "completed", "tool_usage": tools}
    told = {**response, "usage": {"input_tokens": 12, "output_tokens": 3}}
    usage = Stream([sse({"type": "response.completed", "response": told})]).final().usage
    others = (usage.other_input_tokens, usage.other_output_tokens)

    assert (62, 1_003, 3, (50, 1_000)) == (
        usage.input_tokens,
        usage.output_tokens,
        usage.web_searches,
        others,
    )


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ({"prompt": 0, "candidates": 0, "total": 0}, (9, 7, 16)),
        ({"prompt": 9, "candidates": 0, "total": 9}, (9, 7, 16)),
        ({"prompt": 9, "candidates": 0, "thoughts": 5, "total": 14}, (9, 8, 17)),
        ({"prompt": 9, "candidates": 2, "total": 11}, (9, 6, 11)),
        ({"prompt": 9, "candidates": 3, "toolUsePrompt": 50, "total": 62}, (59, 7, 62)),
    ],
)
def test_gemini_keeps_the_answers_and_the_thoughts_counts_apart(last: Payload, expected: Any) -> None:
    """What tools have read is input, beside the prompt."""
    first = {"prompt": 9, "candidates": 3, "thoughts": 4, "total": 16}
    body = []
    for piece, report, end in (("Ja", first, {}), ("", last, {"finishReason": "STOP"})):
        candidate = {"content": {"role": "model", "parts": [{"text": piece}]}, **end}
        counts = {f"{name}TokenCount": count for name, count in report.items()}
        body.append(sse({"candidates": [candidate], "usageMetadata": counts}))
    stream = Stream(body)
    seen = [stream.message.usage.output_tokens for _ in stream]

    assert expected == _usage(body)
    assert 0 not in seen


@pytest.mark.parametrize("later", [_openai(-1, -1), _openai(0, -1), {**_openai(-1, 0), "total_tokens": -1}])
def test_a_negative_number_is_no_count_either(later: Payload) -> None:
    """Some servers send -1 for what they do not know; the report itself is kept."""
    usage = Stream(_chat(_openai(9, 7), later)).final().usage

    assert (9, 7, 16) == (usage.input_tokens, usage.output_tokens, usage.total_tokens)
    assert later == usage.provider_data


_WRITTEN = (
    "openai-chat",
    "openai-responses",
    "openai-realtime",
    "openai-completions",
    "anthropic",
    "gemini",
    "gemini-interactions",
    "gemini-live",
    "bedrock-converse",
    "cohere",
    "ollama",
    "ui-message",
    "ag-ui",
)
_NUMBER = re.compile(rb'(okens?|[cC]ount)(":\s*)(\d+)')


@in_one_test("format", _WRITTEN)
def test_a_count_may_be_written_as_text(format: Any) -> None:
    """Libraries write an integer of 64 bits as text."""
    answer = testing.script().text("Ja").usage(input_tokens=12, output_tokens=3).finish("stop")
    body = b"".join(answer.chunks(format))
    if format == "bedrock-converse":
        # The frames of the binary framing have checksums.
        frames: Any = frames_of(body)
        body = b"".join(sse({frame.event: json.loads(frame.payload)}) for frame in frames)
    for written in (rb'\1\2"\3"', rb"\1\2\3.0"):
        usage = Stream([_NUMBER.sub(written, body)], format=format).final().usage

        assert (12, 3) == (usage.input_tokens, usage.output_tokens)


@in_one_test(
    "empty", [{}, {"input_tokens": None}, {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}]
)
def test_counts_beside_a_response_are_read_where_those_in_it_say_nothing(empty: Payload) -> None:
    for kind, end in (("response", "response.completed"), ("realtime.response", "response.done")):
        head = {"id": "r", "object": kind, "output": []}
        start = {"type": "response.created", "response": {**head, "status": "in_progress"}}
        told = {"type": end, "response": {**head, "status": "completed", "usage": empty}}
        body = [sse(start), sse({**told, "usage": {"input_tokens": 12, "output_tokens": 3}})]
        name: Any = "openai-realtime" if kind.startswith("real") else "openai-responses"
        stream = Stream(body, format=name)

        assert (12, 3) == (stream.final().usage.input_tokens, stream.message.usage.output_tokens)
        assert 1 == stream.departures.details["usage_misplaced"]


def test_the_counts_of_a_response_may_come_before_its_end() -> None:
    counts = {"prompt_tokens": 12, "completion_tokens": 3}
    body = []
    for word, usage in {"created": None, "in_progress": counts, "completed": None}.items():
        status = "completed" if word == "completed" else "in_progress"
        response: Payload = {"id": "r", "object": "response", "output": [], "status": status, "usage": usage}
        body.append(sse({"type": f"response.{word}", "response": response}))

    assert (12, 3, None) == _usage(body)


def test_counts_in_a_delta_are_those_of_the_answer() -> None:
    body = [chat({"content": "Ja"}), chat({"usage": _openai(12, 3)}, "stop"), DONE]

    assert (12, 3, 15) == _usage(body)


NAMES = [("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")]
DETAILS = [
    ("prompt_tokens_details", "input_tokens_details", "input_token_details"),
    ("completion_tokens_details", "output_tokens_details", "output_token_details"),
]
REPORTS = {"usage", "usage_metadata", "usageMetadata", "metrics", "tokens", "meta"}


def _with_zeros(report: dict[str, Any], *, before: bool) -> dict[str, Any]:
    """Return a report with a zero for each name that another vocabulary has for one of its counts."""
    zeros: dict[str, Any] = {}
    for names in NAMES:
        if any(report.get(name) for name in names):
            zeros |= {name: 0 for name in names if name not in report}
    for holders in DETAILS:
        told = [report[name] for name in holders if isinstance(report.get(name), dict)]
        counts = [name for each in told for name, value in each.items() if value and isinstance(value, int)]
        if counts:
            zeros |= {name: dict.fromkeys(counts, 0) for name in holders if name not in report}
    return {**zeros, **report} if before else {**report, **zeros}


def _change(value: Any, *, before: bool, is_report: bool = False) -> Any:
    if isinstance(value, list):
        return [_change(each, before=before) for each in value]
    if not isinstance(value, dict):
        return value
    changed = {name: _change(each, before=before, is_report=name in REPORTS) for name, each in value.items()}
    return _with_zeros(changed, before=before) if is_report else changed


def _changed(body: bytes, *, before: bool) -> bytes:
    lines = []
    for line in body.split(b"\n"):
        head, brace, rest = line.partition(b"{")
        try:
            payload = json.loads(brace + rest)
        except ValueError:
            lines.append(line)
        else:
            lines.append(head + json.dumps(_change(payload, before=before)).encode())
    return b"\n".join(lines)


def _usages(recorded: Recorded, body: bytes) -> list[dict[str, Any]]:
    stream = Stream([body], format=recorded.format)
    with suppress(StreamError):
        stream.final()
    return [message.usage.model_dump(exclude={"provider_data"}) for message in stream.messages]


def _check(recordings: list[Recorded]) -> int:
    tried = 0
    for recorded in recordings:
        if recorded.format == "custom":
            continue
        for before in (True, False):
            body = _changed(recorded.body, before=before)
            if body.count(b'": 0') > recorded.body.count(b'": 0'):
                assert _usages(recorded, recorded.body) == _usages(recorded, body), recorded.name
                tried += 1
    return tried


@pytest.mark.slow
def test_zeros_of_another_vocabulary_change_no_usage() -> None:
    """A law over the recordings of all formats: gateways fill in all the names that their own record has."""
    assert _check(ours()) > 20
    assert not folders() or _check(shared()) > 100


@pytest.mark.parametrize("name", ["cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens"])
def test_a_zero_in_the_details_gives_way_to_a_count_beside_them(name: str) -> None:
    zero = {"prompt_tokens_details": {"cached_tokens": 0}}
    reports = [{"prompt_tokens": 9, name: 7, **zero}, {"prompt_tokens": 9, **zero, name: 7}]

    assert [7, 7] == [usage_of(report).cached_tokens for report in reports]
    assert 0 == usage_of({"prompt_tokens": 9, **zero}).cached_tokens


def test_the_details_of_reports_are_merged() -> None:
    first = {"completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4, "a": {"b": 1}}}
    later = {"completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": None, "a": {"c": 2}}}
    usage = Stream([chat({"content": "Hi"}, usage=first), chat({}, "stop", usage=later), DONE]).final().usage

    assert (3, 4) == (usage.output_tokens, usage.cached_tokens)
    assert {"cached_tokens": 4, "a": {"b": 1, "c": 2}} == usage.provider_data["prompt_tokens_details"]


def test_reports_are_merged_to_a_bounded_depth() -> None:
    deep: Any = {"x": 1}
    for _ in range(90):
        deep = {"d": deep}
    body = [chat({"content": "Hi"}, usage=deep), chat({}, "stop", usage=deep), DONE]

    assert Stream(body).final().usage.provider_data == deep


_GPT = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}


@pytest.mark.parametrize(
    ("report", "affects"),
    [
        (_GPT | {"researched_tokens": 80}, "content"),
        (_GPT | {"researched_tokens": 17}, "form"),
        (_GPT | {"researched_tokens": 7}, "form"),
        (_GPT | {"prompt_tokens_details": {"researched_tokens": 80}}, "content"),
        (_GPT | {"research": {"steps": [{"cached_tokens": 80}]}}, "content"),
        (_GPT | {"researched_tokens": 0, "is_researched": True, "research": "80"}, None),
        (_GPT | {"cost": 0.5, "connectors": {"research": 2}, "prompt_cache_miss_tokens": 9}, None),
    ],
)
def test_a_number_that_no_document_has_is_told_once(report: Payload, affects: str | None) -> None:
    """An unknown number may have been billed; one that counts tell already is a matter of form."""
    stream = Stream(_chat(report, report, report))
    usage = stream.final().usage

    assert (12, 5, 17, report) == (
        usage.input_tokens,
        usage.output_tokens,
        usage.total_tokens,
        usage.provider_data,
    )
    assert stream.departures.details.get("usage_unread") == (1 if affects else None)
    assert affects == (stream.departures["unread"].affects if affects else None)


def test_the_worst_of_several_deviations_of_a_name_says_what_they_affect() -> None:
    for reports in ((17, 80), (80, 17)):
        stream = Stream(_chat(*[_GPT | {f"researched_{count}": count} for count in reports]))
        stream.final()

        assert ("content", 2) == (stream.departures["unread"].affects, stream.departures["unread"].count)
