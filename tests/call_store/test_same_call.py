"""The law of the same call: keys, stores, lists and restarts agree on which calls are the same."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from tests.call_store.places import calling
from tests.support.tables import in_one_test
from tests.support.wire import DONE, sse
from tokenstream import Retry, Router, Stream, ToolCall, resilient
from tokenstream.call_store import MemoryCallStore
from tokenstream.errors import CallsDiffer, StreamTruncated

DEFAULTS: dict[str, Any] = {"memo": "", "count": 1, "urgent": False}


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    lives: int = 9


class Owner(BaseModel):
    pet: Cat | Dog = Field(discriminator="kind")


def pay(to: str, usd: float, memo: str = "", count: int = 1, urgent: bool = False) -> str:
    return f"{usd} to {to}, {memo}, {count}, {urgent}"


def adopt(owner: Owner) -> str:
    return owner.pet.kind


def choose(owner: Owner | str = "") -> str:
    return str(owner)


def mark(value: int | bool = 1) -> str:
    return repr(value)


def chunks(name: str, text: str, *, id: str = "call_1") -> list[bytes]:
    """Return an answer with one call, whose last two events end the call and the answer."""
    call = {"index": 0, "id": id, "function": {"name": name, "arguments": text}}
    events: list[Any] = [{"delta": {"tool_calls": [call]}}, {"delta": {}, "finish_reason": "tool_calls"}]
    return [*[sse({"choices": [{"index": 0, **event}]}) for event in events], DONE]


def cut(body: list[bytes]) -> list[bytes]:
    begun = {"index": 1, "id": "call_9", "function": {"name": "pay", "arguments": "{"}}
    return [body[0], sse({"choices": [{"index": 0, "delta": {"tool_calls": [begun]}}]})]


def keys(name: str, text: str, *tools: Any) -> list[str]:
    stream = Stream(chunks(name, text), job="job 7")
    calls = stream.validated_calls(*tools) if tools else stream.tool_calls
    return [call.key for call in calls]


def are_one_after_a_restart(name: str, one: str, other: str, *tools: Any) -> bool:
    """Restart an answer that was cut off behind a call, and tell if the view takes the new call for it."""
    bodies = [cut(chunks(name, one, id="call_a")), chunks(name, other, id="call_b")]
    stream = resilient(lambda: bodies.pop(0), Retry(again=True, wait=0, attempts=2))
    found: list[ToolCall] = []
    try:
        for call in stream.validated_calls(*tools) if tools else stream.tool_calls:
            found.append(call)
    except StreamTruncated:
        return False
    finally:
        assert ["call_a"] == [call.id for call in found]
    return True


def are_one_in_a_store(name: str, one: str, other: str, tool: Any) -> bool:
    """Run two answers under one id, and tell if the second one is given the result of the first."""
    store, states = MemoryCallStore(), list[str]()
    for text in (one, other):
        with Stream(chunks(name, text), job="job 7") as stream:
            for call in stream.validated_calls(tool, once=store):
                assert call.state is not None
                states.append(call.state.status)
                call.run()
    return ["new", "done"] == states


def are_one_in_a_list(name: str, one: str, other: str, tool: Any) -> bool:
    """Tell if the second answer under an id is taken for one with the same calls."""
    router = Router(once=MemoryCallStore(same_calls=True))
    router.tool(tool)
    Stream(chunks(name, one), job="job 7").run(router)
    try:
        Stream(chunks(name, other), job="job 7").run(router)
    except CallsDiffer:
        return False
    return True


def spell(number: float, way: str) -> str:
    return {
        "plain": repr(number),
        "whole": str(int(number)),
        "fraction": f"{number:.2f}",
        "power": f"{number:e}",
    }[way if number == int(number) or way != "whole" else "plain"]


@st.composite
def spelled(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    """Draw arguments of `pay`, and one of the ways to write them."""
    arguments: dict[str, Any] = {
        "to": draw(st.sampled_from(["ann", "Ann", "é"])),
        "usd": draw(st.sampled_from([0.5, 1.0, 100.0])),
        "memo": draw(st.sampled_from(["", "rent"])),
        "count": draw(st.sampled_from([1, 2])),
        "urgent": draw(st.booleans()),
    }
    written = [
        name
        for name in draw(st.permutations([*arguments]))
        if arguments[name] != DEFAULTS.get(name) or draw(st.booleans())
    ]
    ascii_only, space = draw(st.booleans()), draw(st.sampled_from(["", " ", "\n\t"]))
    members: list[str] = []
    for name in written:
        value = arguments[name]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        text = (
            spell(value, draw(st.sampled_from(["plain", "whole", "fraction", "power"])))
            if is_number
            else json.dumps(value, ensure_ascii=ascii_only)
        )
        members.append(f'{space}"{name}":{space}{text}')
    return arguments, "{" + ",".join(members) + space + "}"


@given(spelled(), spelled())
def test_calls_are_the_same_everywhere_or_nowhere(
    one: tuple[dict[str, Any], str], other: tuple[dict[str, Any], str]
) -> None:
    (first, text), (second, again) = one, other
    are_same = first == second

    assert are_same == (keys("pay", text, pay) == keys("pay", again, pay))
    assert are_same == are_one_after_a_restart("pay", text, again, pay)
    assert are_same == are_one_in_a_store("pay", text, again, pay)
    assert are_same == are_one_in_a_list("pay", text, again, pay)

    are_same = json.loads(text) == json.loads(again)
    assert are_same == (keys("pay", text) == keys("pay", again))
    assert are_same == are_one_after_a_restart("pay", text, again)


@in_one_test(
    ("tool", "one", "other", "are_same"),
    [
        (adopt, '{"pet":{"kind":"cat"}}', '{"pet":{"kind":"dog"}}', False),
        (choose, '{"owner":{"pet":{"kind":"cat"}}}', '{"owner":{"pet":{"kind":"dog"}}}', False),
        (mark, '{"value":1}', '{"value":true}', False),
        (adopt, '{"pet":{"kind":"cat"}}', '{"owner":{"pet":{"lives":9.0,"kind":"cat"}}}', True),
        (choose, '{"owner":{"pet":{"kind":"dog"}}}', '{"owner":{"pet":{"kind":"dog","lives":9}}}', True),
        (mark, '{"value":2}', '{"value":2.0}', True),
    ],
)
def test_a_default_in_a_union_counts_if_it_tells_calls_apart(
    tool: Callable[..., Any], one: str, other: str, are_same: bool
) -> None:
    """A field by which a union is told apart, and true where the default is 1; others may be left out."""
    name = tool.__name__
    for are_one in (are_one_after_a_restart, are_one_in_a_store, are_one_in_a_list):
        assert are_same == are_one(name, one, other, tool)
        assert are_one(name, one, one, tool)
    assert are_same == (keys(name, one, tool) == keys(name, other, tool))


@in_one_test(
    "text",
    ['{"value":1e400}', '{"value":-1e400}', "[1]", "{a:1}", '{"value":"9"}', '{"value":1E999999999}', "null"],
)
def test_any_arguments_have_a_key(text: str) -> None:
    for tools in ((), (mark,)):
        assert keys("mark", text, *tools) == keys("mark", text, *tools)


def test_the_key_of_a_checked_call_is_that_in_the_store_and_stays_in_its_copies() -> None:
    """In the message, the same call has the key of its JSON, which has a default written out."""
    store = MemoryCallStore()
    with Stream(chunks("pay", '{"usd":5.0,"to":"ann","memo":""}'), job="job 7") as stream:
        [call] = stream.validated_calls(pay, once=store)
        call.run()
        [written] = stream.message.tool_calls
        [checked] = stream.validated_calls(pay)

    assert "done" == store.look(call.key).status
    assert [call.key] == keys("pay", '{"to":"ann","usd":5}')
    copies = copy.copy(checked), copy.deepcopy(checked), pickle.loads(pickle.dumps(checked))
    assert [call.key] * 3 == [each.key for each in copies]
    assert [written.key] == keys("pay", '{"to":"ann","usd":5,"memo":""}')
    assert written.key != call.key


@pytest.mark.parametrize("amounts", [("5", "5.0"), ("5.0", "5")])
def test_equal_calls_of_one_answer_are_numbered_whatever_their_wording(amounts: tuple[str, str]) -> None:
    """A model that books two equal rooms gets two, also in another wording."""
    body = calling(*(("pay", f'{{"to":"a","usd":{usd}}}') for usd in amounts))
    for tools in ((), (pay,)):
        stream = Stream(body, job="job 7")
        found = [call.key for call in (stream.validated_calls(*tools) if tools else stream.tool_calls)]
        assert 2 == len(set(found))
        assert keys("pay", '{"to":"a","usd":5}', *tools) == found[:1]
