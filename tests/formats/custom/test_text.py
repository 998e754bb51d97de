"""Mappings: where the text and the reasoning are, and what ends an answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.custom.support import HI, STOP, simple
from tests.formats.told import DONE, tell
from tests.support.tables import in_one_test
from tokenstream.errors import ProviderError, StreamTruncated
from tokenstream.events import Unknown
from tokenstream.formats import custom
from tokenstream.limits import Limits

# -- text and reasoning ---------------------------------------------------------


def test_a_path_says_where_the_text_is() -> None:
    told = tell(simple(), *HI, STOP)

    assert ("Hello", "stop", "done", "complete") == (
        told.message.text,
        told.reason,
        told.raw_reason,
        told.ending,
    )
    assert (["Hel", "lo"], None, set()) == (told.texts, told.error, told.rules)


@in_one_test(
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
    told = tell(custom(text="t", reasoning="r"), {"r": "Hm"}, {"r": "!", "t": "Hi"}, {"t": "!"})

    assert ("Hm!", "Hi!") == (told.message.reasoning, told.message.text)


def test_only_the_named_events_hold_text() -> None:
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
    format = custom(text="t", where={"type": "delta", "n": [1, 2]})
    told = tell(
        format,
        {"type": "delta", "n": 1, "t": "H"},
        {"type": "delta", "n": 2, "t": "i"},
        {"type": "delta", "n": 3, "t": "no"},
        {"type": "final", "n": 1, "t": "no"},
    )

    assert ("Hi", ["delta", "final"]) == (told.message.text, told.unknown)


def test_bare_data_are_text_as_they_are() -> None:
    told = tell(
        custom(text="", event="output", end="done"),
        *[("output", piece) for piece in (b"", b" ", b"\n", b'{"a": 1}', b"[DONE]")],
        ("logs", b"x"),
        ("done", b""),
    )

    assert (' \n{"a": 1}[DONE]', ["logs"]) == (told.message.text, told.unknown)
    assert ("complete", "done", None) == (told.ending, told.raw_reason, told.error)


def test_bare_data_need_no_event_name() -> None:
    told = tell(custom(text="", sentinel="[DONE]"), b"Hel", b"lo", ("note", {"x": 1}), DONE)

    assert ("Hello", ["note"], "complete") == (told.message.text, told.unknown, told.ending)


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

    assert (reason, raw) == (told.reason, told.raw_reason)


def test_a_finish_reason_may_be_in_any_item_of_a_list() -> None:
    format = custom(text="c.*.t", finish="c.*.stop")
    told = tell(format, {"c": [{"t": "Hi"}]}, {"c": [{"t": "!"}, {"stop": "length"}, {"stop": "stop"}]})

    assert ("Hi!", "length") == (told.message.text, told.reason)


@pytest.mark.parametrize("value", [None, False, 0, 0.0, "", [], "not_yet"])
def test_what_is_no_end_is_none(value: Any) -> None:
    """Some servers fill the field in from the start."""
    format = simple(finish_reasons={"not_yet": None})
    payloads = [{"result": {"delta": "x", "stop": value}}, *HI]

    assert isinstance(tell(format, *payloads).error, StreamTruncated)


@pytest.mark.parametrize("values", [(1, 0), (True, False)])
def test_a_flag_may_say_that_the_answer_goes_on(values: tuple[Any, Any]) -> None:
    format = custom(
        text="t", finish="more", finish_reasons={"1": None, "true": None, "0": "stop", "false": "stop"}
    )
    on, over = ({"t": text, "more": value} for text, value in zip(("Hel", "lo"), values, strict=True))
    cut, whole = tell(format, on), tell(format.fresh(limits=Limits()), on, over)

    assert isinstance(cut.error, StreamTruncated)
    assert ("Hello", "stop", "complete") == (whole.message.text, whole.reason, whole.ending)


def test_without_an_end_in_the_mapping_the_end_of_the_input_is_the_answers() -> None:
    """Nothing else could tell it; an empty body is truncated all the same."""
    assert "complete" == tell(custom(text="t"), {"t": "Hi"}).ending
    assert isinstance(tell(custom(text="t")).error, StreamTruncated)


@pytest.mark.parametrize("options", [{"sentinel": "[DONE]"}, {"end": "end"}, {"finish": "f"}])
def test_an_end_that_the_mapping_has_must_come(options: dict[str, Any]) -> None:
    told = tell(custom(text="t", **options), {"t": "Hi"})

    assert isinstance(told.error, StreamTruncated)
    assert "truncated" == told.ending


def test_a_sentinel_is_the_end() -> None:
    format = simple(sentinel=" [END] ")

    assert set() == tell(format.fresh(limits=Limits()), *HI, STOP, b"[END]").rules
    assert {"done_missing"} == tell(format.fresh(limits=Limits()), *HI, STOP).rules
    assert {"finish_missing"} == tell(format.fresh(limits=Limits()), *HI, b" [END]").rules
    assert set() == tell(custom(text="t", sentinel="[END]"), {"t": "Hi"}, b"[END]").rules


def test_the_event_that_is_the_end_may_say_more() -> None:
    format = custom(text="t", finish="reason", end=["done", "end"], usage={"output_tokens": "n"})
    whole = tell(format.fresh(limits=Limits()), {"t": "Hi"}, ("done", {"reason": "canceled", "n": 3}))
    named = tell(format.fresh(limits=Limits()), {"t": "Hi"}, ("end", b"null"), {"t": "late"})
    odd = tell(custom(text="t", end="over"), {"t": "Hi"}, ("over", {}))
    failed = tell(format.fresh(limits=Limits()), {"t": "Hi"}, ("done", {"error": {"message": "m"}}))

    assert ("cancelled", 3) == (whole.reason, whole.message.usage.output_tokens)
    assert ("stop", "end", {"data_after_end"}) == (named.reason, named.raw_reason, named.rules)
    assert ("unknown", "over") == (odd.reason, odd.raw_reason)
    assert isinstance(failed.error, ProviderError)


def test_what_comes_between_the_reason_and_the_end_is_read() -> None:
    format = simple(usage={"input_tokens": "usage.in", "output_tokens": "usage.out", "cost": "usage.cost"})
    told = tell(format, *HI, STOP, {"usage": {"in": 9, "out": 4.0, "cost": 0.5}}, {"usage": {"out": None}})
    usage = told.message.usage

    assert (9, 4, 0.5) == (usage.input_tokens, usage.output_tokens, usage.cost)
    assert {"input_tokens": 9, "output_tokens": 4, "cost": 0.5} == usage.provider_data


def test_the_same_usage_is_reported_once() -> None:
    """Many servers repeat it with every piece."""
    format = custom(text="t", usage={"output_tokens": "n"})
    told = tell(format, {"t": "a", "n": 1}, {"t": "b", "n": 1}, {"t": "c", "n": 2})

    assert 2 == sum(type(event).__name__ == "UsageUpdate" for event in told.events)


def test_an_error_where_the_text_usually_is_is_no_text() -> None:
    """The type says so, unless the mapping gives the type another meaning."""
    told = tell(custom(text="content"), {"content": "Hi"}, {"type": "error", "content": "boom"})

    assert ("boom", "Hi") == (told.failure.message.rpartition(": ")[2], told.message.text)
