"""`guard` over several connections: answers that begin again or go on elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from tests.recovery.attempts import in_each_world, play
from tests.recovery.continuing import GIVEN, GO_ON, PREFIX, TEXT, cut, goes_on, obeys, says
from tests.stream.guards.support import ANSWER, guarded, never
from tests.support.wire import DONE, chat
from tokenstream import Message, Retry, Route
from tokenstream.errors import GuardFailed
from tokenstream.events import Resumed
from tokenstream.testing import script

RESTART = Retry(again=True, wait=0)
CHOICES = [
    chat({"content": "Hel"}),
    chat({"content": "Bye"}, index=1),
    chat({"content": "lo"}),
    chat({}, "stop"),
    chat({"content": " bye"}, index=1),
    chat({}, "length", index=1),
    DONE,
]
"""An answer of two choices, the first of which finishes while the second is being written."""
GREETING = [*(chat({"content": text}) for text in ("Hel", "lo", " wor", "ld", "! ", "Bye")), chat({}, "stop")]
"""An answer of one choice."""
GUARDS: dict[str, dict[str, Any]] = {"shown": {"first_tokens": 2}, "held": {"first_tokens": 2, "hold": True}}
"""Options of a guard that judges an answer while it is shown, and of one that judges it before."""


@in_each_world
def test_what_is_stopped_is_not_asked_for_again(world: str) -> None:
    """The stop is the answer's end."""
    played = play(world, [ANSWER.chunks("openai-chat")] * 2, Retry(wait=0), guarded("cat"))

    assert 1 == len(played.asked)
    assert ("The cat ", "stopped") == ("".join(played.given), played.message.ending)


@in_each_world
@pytest.mark.parametrize("cut, asked", [(4, ["The cat sat "]), (5, ["The cat sat ", "The cat sat "])])
def test_an_answer_that_begins_again_is_judged_afresh(world: str, cut: int, asked: list[str]) -> None:
    counted: list[str] = []

    def count(message: Message) -> None:
        counted.append(message.text)

    whole = ANSWER.chunks("openai-chat")
    view = guarded(count, first_tokens=4, hold=True)
    played = play(world, [whole[:cut], whole], Retry(wait=0, again=True), view)

    assert (2, asked) == (len(played.asked), counted)
    assert "The cat sat on it" == "".join(played.given)


@in_each_world
def test_a_guard_that_fails_is_not_asked_elsewhere(world: str) -> None:
    """Another provider's answer would be judged by the same guard."""

    def fail(_: Message) -> str | None:
        raise ValueError("no model")

    whole = ANSWER.chunks("openai-chat")
    retry = Retry(wait=0, again=True, routes=Route(open=lambda _: pytest.fail("asked")))
    played = play(world, [whole, whole], retry, guarded(fail, first_tokens=2))

    assert (GuardFailed, 1) == (type(played.error), len(played.asked))


@in_each_world
@pytest.mark.parametrize("retry", [PREFIX, GO_ON])
def test_a_guard_looks_across_the_place_where_an_answer_goes_on(world: str, retry: Retry) -> None:
    bodies: list[Any] = [cut(), says(goes_on if retry is PREFIX else obeys)]
    plain = play(world, bodies, retry, format="openai-chat")
    across = TEXT[len(GIVEN) - 8 : len(GIVEN) + 4]
    stopped = play(world, bodies, retry, guarded(across), format="openai-chat")
    asked: list[str] = []

    def ask(message: Message) -> None:
        asked.append(message.text)

    def view(stream: Any) -> Any:
        return (
            stream.guard("no such thing")
            .guard(ask, first_tokens=3, every=3)
            .guard(never, first_tokens=4, hold=True)
        )

    allowed = play(world, bodies, retry, view, format="openai-chat")

    assert plain.message == allowed.message
    assert "".join(stopped.given).startswith(TEXT[: len(GIVEN) + 4])
    assert ("stopped", 2) == (stopped.message.ending, len(stopped.asked))
    assert asked[-1] == TEXT == allowed.message.text


def kept(streams: list[Any], rule: Any = None, **options: Any) -> Any:
    """Return a view that keeps a stream, guards it if there is a rule, and gives its events."""

    def view(stream: Any) -> Any:
        streams.append(stream)
        return stream if rule is None else stream.guard(rule, **options)

    return view


@in_each_world
@pytest.mark.parametrize("options", GUARDS.values(), ids=GUARDS)
@pytest.mark.parametrize("rule", ["never said", never], ids=["pattern", "function"])
@pytest.mark.parametrize("cut", range(2, len(CHOICES)))
def test_a_guard_that_lets_a_restarted_answer_go_on_changes_nothing(
    world: str, cut: int, rule: Any, options: dict[str, Any]
) -> None:
    bodies, streams = [CHOICES[:cut], CHOICES], list[Any]()
    plain = play(world, bodies, RESTART, kept(streams), format="openai-chat")
    allowed = play(world, bodies, RESTART, kept(streams, rule, **options), format="openai-chat")

    assert plain.given == allowed.given
    assert streams[0].messages == streams[1].messages
    assert ["stop", "length"] == [message.finish_reason for message in streams[1].messages]


@pytest.mark.parametrize("options", GUARDS.values(), ids=GUARDS)
@pytest.mark.parametrize("again", [GREETING, [chat({"content": "Hello world! "}), *GREETING[5:]]])
@pytest.mark.parametrize("cut", range(2, len(GREETING)))
@pytest.mark.parametrize("rule", ["world", "ld! B", "lo!", "!.*!", "lo.*lo"])
def test_a_guard_forgets_the_answer_that_a_restart_gives_up(
    cut: int, again: list[bytes], rule: str, options: dict[str, Any]
) -> None:
    streams: list[Any] = []
    for bodies in ([GREETING], [GREETING[:cut], again]):
        play("sync", bodies, RESTART, kept(streams, rule, **options), format="openai-chat")

    assert streams[0].stop_reason == streams[1].stop_reason


@in_each_world
@pytest.mark.parametrize("retry", [PREFIX, GO_ON])
@pytest.mark.parametrize("rule", ["parts, goes", "parts,  ?[^g]", "river does.*river does"])
def test_a_guard_that_holds_back_judges_a_continuation_as_it_is_joined(
    world: str, retry: Retry, rule: str
) -> None:
    """The words that a continuation repeats are not in the answer, so they do not stop it."""
    bodies: list[Any] = [cut(), says(goes_on if retry is PREFIX else obeys)]
    shown, held = (
        play(world, bodies, retry, guarded(rule, **options), format="openai-chat")
        for options in GUARDS.values()
    )

    assert shown.message == held.message
    assert (rule == "parts, goes") == (held.message.ending == "stopped")


PARTS = script().reasoning("hm").text("Hello ", "wor", "ld", "!").tool_call("look", {"at": 1}).finish("stop")
"""An answer of several parts."""


@pytest.mark.slow
@pytest.mark.parametrize("format", ["anthropic", "openai-responses", "tokenstream"])
@pytest.mark.parametrize("options", GUARDS.values(), ids=GUARDS)
def test_a_guard_that_lets_a_resumed_answer_go_on_changes_nothing(
    format: str, options: dict[str, Any]
) -> None:
    whole = [b"id: %d\n%b" % (number, chunk) for number, chunk in enumerate(PARTS.chunks(format))]
    for place in range(1, len(whole)):
        bodies = [whole[:place], whole[place:]]
        plain, allowed = (
            play("sync", bodies, Retry(wait=0), view, format=format)
            for view in (iter, lambda stream: stream.guard("never said", **options))
        )

        # What is resumed while all of it is held back is not announced.
        assert without_resumed(plain.given) == without_resumed(allowed.given)
        assert plain.message == allowed.message
        assert allowed.message.complete


def without_resumed(events: list[Any]) -> list[Any]:
    return [event for event in events if not isinstance(event, Resumed)]
