"""The law of the same call: one table for the arguments that come for a known call."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.streams import json_values
from tokenstream import ToolCall
from tokenstream._basics.call_keys import is_same_call
from tokenstream._basics.json import looks_whole, says_no_arguments
from tokenstream._basics.same_call import choose_arguments, compare, form_of, judge
from tokenstream.formats._kit.open import OpenCall

WHOLE = '{"usd": 100}'
TEXTS = st.sampled_from(["", " ", "{}", "{ }", "null", WHOLE[:5], "x", "1 2"]) | json_values.map(json.dumps)


@pytest.mark.parametrize(
    ("text", "likeness", "again", "after"),
    [
        ('{"usd":1e2}', "equal", "repeated", "repeated"),
        (" ", "none", "repeated", "repeated"),
        ("{ }", "empty", "another", "repeated"),
        ("null", "empty", "another", "repeated"),
        (WHOLE[:5], "unreadable", "another", "repeated"),
        (WHOLE * 2, "unreadable", "another", "repeated"),
        ('{"usd": true}', "other", "another", "contradicts"),
    ],
)
def test_likeness_and_place_decide(text: str, likeness: str, again: str, after: str) -> None:
    """A call may begin again, and something may come after its end."""
    verdicts = compare(WHOLE, text), judge("again", WHOLE, text), judge("after", WHOLE, text)

    assert (likeness, again, after) == verdicts


@given(TEXTS, TEXTS)
def test_equal_arguments_are_the_same_call_in_every_place(one: str, other: str) -> None:
    are_same = is_same_call(*[ToolCall(name="pay", arguments_text=text) for text in (one, other)])
    judged = judge("again", one, other), judge("after", one, other)

    assert are_same <= (("repeated", "repeated") == judged)
    assert ("contradicts" in judged) <= (form_of(other) not in {None, "{}", form_of(one)})
    if are_same and form_of(one) not in {None, "{}"}:
        assert one == choose_arguments(one, [other], is_json=True)


@example("{}", "null")
@example("{}", "{ }")
@given(TEXTS, TEXTS)
def test_a_call_that_begins_again_is_withheld_until_it_is_another(one: str, other: str) -> None:
    """Free text, and a part of a value, are compared character by character."""
    function, custom = [
        OpenCall(0, -1, id="c", name="pay", type=kind, provider_data=None) for kind in ("function", "custom")
    ]
    function.may_repeat = custom.may_repeat = [ToolCall(name="pay", arguments_text=one)]
    is_value = looks_whole(other) or says_no_arguments(other)

    assert one.startswith(other) == custom.keeps_repeating(other)
    assert (is_value and judge("again", one, other) == "repeated") <= function.keeps_repeating(other)
