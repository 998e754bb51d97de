"""What is asked for that cannot be done: refused where it is written, or raised as what it is."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.recovery.attempts import in_each_world, play
from tests.support.tables import in_one_test
from tokenstream import Retry, Route, Routes, Seam, aresilient, resilient, testing
from tokenstream.errors import ErrorKind, MisuseError, ProviderError, StreamTruncated
from tokenstream.recovery import Attempt

WHOLE = testing.script().text("Hello wonderful world").finish("stop").chunks("openai-chat")


@in_one_test(
    ("field", "value", "expected"),
    [
        ("attempts", 0, "of at least 1"),
        ("attempts", True, "of at least 1"),
        ("again", "restart", "True or False"),
        ("wait", -1, "at least 0"),
        ("wait", "1s", "number of seconds"),
        ("wait", float("nan"), "at least 0"),
        ("within", -1, "at least 0"),
        ("within", float("inf"), "at least 0"),
        ("on", ["empty", "nonsense"], "these words"),
        ("on", [ValueError], "StreamError"),
        ("routes", "anthropic", "Route(open=ask, format=…) for a function"),
        ("seam", 0.9, "Seam(least=0.9)"),
        ("pauses", -1, "0 or more"),
        ("pauses", True, "0 or more"),
        ("pauses", "8", "0 or more"),
        ("pauses", {"length": True}, "0 or more"),
        ("pauses", {"stop": 1}, '"pause" and "length"'),
        ("on_retry", 3, "function"),
    ],
)
def test_nonsense_is_refused_where_it_is_written(field: str, value: Any, expected: str) -> None:
    """The message names the field, and says what it takes."""
    with pytest.raises(MisuseError) as caught:
        Retry(**{field: value})

    assert f"{field}=" in str(caught.value)
    assert expected in str(caught.value)


def test_what_decides_on_an_attempt_is_no_async_def() -> None:
    """The coroutine would be ignored, and with it the decision."""

    async def decide(attempt: Attempt) -> object:
        return attempt.skip()

    class Decides:
        async def __call__(self, attempt: Attempt) -> object:
            return attempt.skip()

    for function in (decide, partial(decide), Decides()):
        with pytest.raises(MisuseError, match="on_retry= is an async def"):
            Retry(on_retry=function)


@in_one_test(
    ("kind", "options", "said"),
    [
        (Retry, {"mode": "restart"}, "again=True"),
        (Retry, {"timeout": 60}, "within="),
        (Retry, {"hedge_after": 2}, "routes=Routes("),
        (Retry, {"least": 0.9}, "seam=Seam("),
        (Retry, {"order": "latency"}, "left out by itself"),
        (Routes, {"order": "latency"}, "left out by itself"),
        (Seam, {"ask": "Weiter!"}, "an open of your own can write other turns"),
        (Routes, {"hedge_after": "soon"}, "number of seconds"),
        (Route, {"url": "http://a.test", "json": {}, "params": {}}, "write the query into the URL"),
        (Route, {"url": "http://a.test"}, "Route(url, json=payload)"),
        (Route, {"url": list}, "Route(open=ask)"),
        (Route, {"open": "http://a.test"}, "open= is a function"),
        (Route, {"open": list, "json": {}}, "leave out the address, json="),
        (Routes, {"hedge": 1}, "did you mean hedge_after=?"),
        (Seam, {"most": 1}, "least, prefill"),
    ],
)
def test_an_option_that_is_elsewhere_is_answered_with_the_place(kind: Any, options: Any, said: str) -> None:
    """Nothing that is misspelt is left out in silence."""
    with pytest.raises(MisuseError) as caught:
        kind(**options)

    assert said in str(caught.value)


@pytest.mark.parametrize("start", [resilient, aresilient])
def test_what_cannot_be_done_is_refused_before_anything_is_asked(start: Any) -> None:
    """Nothing is opened: the function that opens is not called."""

    def two(_: object, __: object) -> None:
        raise AssertionError

    for opens, retry, said in (
        (two, Retry(), "one argument, or none"),
        (two, {"attempts": 3}, "is a Retry"),
        (WHOLE, Retry(), "is a function"),
    ):
        with pytest.raises(MisuseError, match=said):
            start(opens, retry)


@in_each_world
def test_another_format_in_mid_answer_is_compared_as_any_other(world: str) -> None:
    """A format that is found out may be another one; its text goes on, or the first error is raised."""
    same, other = (
        testing.script().text(text).finish("stop").chunks("anthropic")
        for text in ("Hello wonderful world", "Good morning")
    )
    retry = Retry(again=True, wait=0)
    good = play(world, [WHOLE[:3], same], retry, lambda stream: stream.text)
    bad = play(world, [WHOLE[:3], other], retry, lambda stream: stream.text)

    assert ("".join(good.given), good.error) == ("Hello wonderful world", None)
    assert "".join(bad.given) == "Hello wonder"
    assert isinstance(bad.error, StreamTruncated)


@pytest.mark.parametrize(
    ("kind", "noted"),
    [("overloaded", True), ("server", True), ("authentication", False), ("invalid_request", False)],
)
def test_why_an_answer_was_not_continued_is_noted_where_another_attempt_made_sense(
    kind: ErrorKind, noted: bool
) -> None:
    """An error that no attempt can mend gets no advice on how to go on."""
    chunks = testing.script().text("Hello").error("no", kind=kind).chunks("openai-chat")
    stream = resilient(lambda: chunks, Retry(attempts=2, wait=0), format="openai-chat")
    with pytest.raises(ProviderError) as caught:
        "".join(stream.text)

    notes = getattr(caught.value, "__notes__", [])
    assert noted == any("the answer was not continued" in note for note in notes)
    assert "Hello" == stream.message.text
