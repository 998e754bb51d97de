"""`guard` over several connections: answers that begin again or go on elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from tests.recovery.attempts import in_each_world, play
from tests.recovery.continuing import GIVEN, GO_ON, PREFIX, TEXT, cut, goes_on, obeys, says
from tests.stream.guards.support import ANSWER, guarded, never
from tokenstream import Message, Retry
from tokenstream.errors import GuardFailed


@in_each_world
def test_what_is_stopped_is_not_asked_for_again(world: str) -> None:
    """The stop is the answer's end."""
    played = play(world, [ANSWER.chunks("openai-chat")] * 2, Retry(wait=0), guarded("cat"))

    assert 1 == len(played.asked)
    assert ("The cat ", "stopped") == ("".join(played.given), played.message.ending)


@in_each_world
@pytest.mark.parametrize("cut, asked", [(4, ["The cat sat "]), (5, ["The cat sat ", "The cat sat "])])
def test_an_answer_that_begins_again_is_judged_afresh(world: str, cut: int, asked: list[str]) -> None:
    """What was held of the attempt before counts no more, and leaves no trace."""
    counted: list[str] = []

    def count(message: Message) -> None:
        counted.append(message.text)

    whole = ANSWER.chunks("openai-chat")
    view = guarded(count, first_tokens=4, hold=True)
    played = play(world, [whole[:cut], whole], Retry(wait=0, mode="restart"), view)

    assert (2, asked) == (len(played.asked), counted)
    assert "The cat sat on it" == "".join(played.given)


@in_each_world
def test_a_guard_that_fails_is_not_asked_elsewhere(world: str) -> None:
    """Another provider's answer would be judged by the same guard."""

    def fail(_: Message) -> str | None:
        raise ValueError("no model")

    whole = ANSWER.chunks("openai-chat")
    retry = Retry(wait=0, mode="restart", fallback=[lambda _: pytest.fail("asked")])
    played = play(world, [whole, whole], retry, guarded(fail, first_tokens=2))

    assert (GuardFailed, 1) == (type(played.error), len(played.asked))


@in_each_world
@pytest.mark.parametrize("retry", [PREFIX, GO_ON])
def test_a_guard_looks_across_the_place_where_an_answer_goes_on(world: str, retry: Retry) -> None:
    """What was said before the break counts; guards that let it go change nothing."""
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
