"""Zeros of another vocabulary in a report of token counts, which stand for no count."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from tests.support.recordings import Recorded, folders, ours, shared
from tests.support.wire import DONE, chat
from tokenstream import Stream
from tokenstream.errors import StreamError
from tokenstream.formats._kit.openai import usage_of

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


def test_a_zero_in_a_later_report_replaces_no_count() -> None:
    first = {
        "prompt_tokens": 9,
        "completion_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": 4, "a": {"b": 1}},
    }
    later = {
        "input_tokens": 0,
        "output_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": None, "a": {"c": 2}},
    }
    body = [chat({"content": "Hi"}, usage=first), chat({}, "stop", usage=later), DONE]
    usage = Stream(body).final().usage

    assert (9, 3, 4) == (usage.input_tokens, usage.output_tokens, usage.cached_tokens)
    assert {"cached_tokens": 4, "a": {"b": 1, "c": 2}} == usage.provider_data["prompt_tokens_details"]


def test_reports_are_merged_to_a_bounded_depth() -> None:
    deep: Any = {"x": 1}
    for _ in range(90):
        deep = {"d": deep}
    body = [chat({"content": "Hi"}, usage=deep), chat({}, "stop", usage=deep), DONE]

    assert Stream(body).final().usage.provider_data == deep
