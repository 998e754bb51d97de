"""Models at the seam, as they are, with the default options: no text that is not the answer's is shown.

Once after a user's turn, where the last words are compared, and once behind a prefix, where nothing is but
the beginning of the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.recovery.attempts import Played, in_each_world, play
from tests.recovery.continuing import PREFIX, last_words, text_of
from tokenstream import Message, Retry, Seam, testing
from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import StreamTruncated
from tokenstream.events import Restarted, Resumed
from tokenstream.message import Checkpoint
from tokenstream.recovery import Attempt

ASKED = Retry(again=True, wait=0, attempts=2)
BEHIND_A_PREFIX = Retry(again=True, wait=0, attempts=2, seam=Seam(prefill=True))
TEXTS = {
    "prose": "A river does not mind a stone. It parts, goes around on both sides, and is one river. ",
    "two paragraphs": "Tides follow the moon.\n\nWhen it is full, they are high; else, they are low.\n",
    "list": "".join(f"{number}. The {word} step of the work\n" for number, word in enumerate("abcdefgh")),
    "table": "| name | age |\n|---|---|\n| Anna | 42 |\n| Bert | 41 |\n| Carl | 40 |\n| Dora | 39 |\n",
    "code": "```python\ndef area(width, height):\n    whole = width * height\n    return 2\n```\nThe end.",
    "Japanese": "潮の満ち引きは月の引力によって起こります。満月のときに大きく、半月のときに小さくなります。"
    "潮が満ちると船は港を出て、潮が引くと浜に貝が残ります。漁師は暦を見て海に出ます。",
    "German": "Ein Fluss kümmert sich nicht um einen Stein. Er teilt sich und wird eins.",
    "tags": "<p>Tides follow the <b>moon</b>.</p>\n<p>They are <i>high</i> when it is full.</p>\n<p>End</p>",
    "refrain": "Row, row, row your boat, gently down the stream.\nMerrily, merrily, merrily, life is "
    "but a dream.\nRow, row, row your boat, far from land and home.\n",
    "long": " ".join(f"Sentence {number} says that {number * 7} is a number." for number in range(30)),
}
Model = Callable[[str, str], str]
"""Returns what a model writes, from the answer so far and the rest of it."""


def base_of(given: str) -> tuple[str, str]:
    return given.rstrip(), given[len(given.rstrip()) :]


def obeyed(given: str, rest: str) -> str:
    return last_words(given) + base_of(given)[1] + rest


JOINING: dict[str, Model] = {
    "exact": obeyed,
    "echo": lambda given, rest: given + rest,
    "the last 25 characters": lambda given, rest: given.rstrip()[-25:].lstrip() + base_of(given)[1] + rest,
    "the last 60 characters": lambda given, rest: given.rstrip()[-60:].lstrip() + base_of(given)[1] + rest,
    "preamble": lambda given, rest: f"Sure, here is the rest:\n\n{obeyed(given, rest)}",
    "markers": lambda given, rest: f"<last_words>{last_words(given)}</last_words>{base_of(given)[1]}{rest}",
    "markers on lines": lambda given, rest: (
        f"<last_words>\n{last_words(given)}\n</last_words>{base_of(given)[1]}{rest}"
    ),
    "opening marker": lambda given, rest: f"<last_words>{obeyed(given, rest)}",
    "closing marker": lambda given, rest: f"{last_words(given)}</last_words>{base_of(given)[1]}{rest}",
    "marker at the end": lambda given, rest: f"{obeyed(given, rest)}</last_words>",
    "preamble and markers": lambda given, rest: (
        f"Of course. <last_words>{last_words(given)}</last_words>{base_of(given)[1]}{rest}"
    ),
}
"""Models that write the last words, in some way."""
AGAIN = "It is hard to say in a few words, so let me begin at the start once more, and slowly this time. " * 4
OTHERS: dict[str, Model] = {
    "told anew": lambda given, _: given[: len(given) // 2] + AGAIN,
    "other words": lambda _, __: AGAIN,
    "refusal": lambda _, __: "I'm sorry, but I can't continue that.",
    "a long refusal": lambda _, __: "I'm sorry, but I can't continue that. " * 12,
    "preamble alone": lambda _, rest: f"Sure, here is the rest: {rest}",
    "without the last words": lambda _, rest: f"…{rest}",
    "fence": lambda given, rest: f"```text\n{obeyed(given, rest)}\n```",
    "fence and preamble": lambda given, rest: f"Here it is:\n```\n{obeyed(given, rest)}\n```",
    "quotation": lambda given, rest: f'"{obeyed(given, rest)}"',
    "bold": lambda given, rest: f"**{obeyed(given, rest)}**",
    "tag": lambda given, rest: f"<answer>{obeyed(given, rest)}</answer>",
    "JSON": lambda given, rest: f'{{"text": "{obeyed(given, rest)}"}}',
    "empty": lambda _, __: "",
    "white space": lambda _, __: " \n",
    "another language": lambda _, __: "Le fleuve ne se soucie pas de la pierre, il la contourne.",
    "the markers alone": lambda _, __: "<last_words></last_words>",
    "a question": lambda _, __: "Which part would you like me to continue?",
}
"""Models that write something else, of which nothing may be shown."""


def broken(text: str, cut: int) -> list[bytes]:
    pieces = [text[start : min(start + 7, cut)] for start in range(0, cut, 7)]
    return testing.script().text(*pieces).chunks("openai-chat")


def answer(words: str, size: int, *, reason: Any = "stop") -> list[bytes]:
    pieces = [words[start : start + size] for start in range(0, len(words), size)]
    script = testing.script(model="other").text(*pieces) if pieces else testing.script(model="other")
    return script.finish(reason).chunks("openai-chat")


def asked(text: str, cut: int, model: Model, retry: Retry, *, size: int = 5, world: str = "sync") -> Played:
    reply = model(text[:cut], text[cut:])
    return play(world, [broken(text, cut), answer(reply, size)], retry, format="openai-chat")


def cuts_of(text: str) -> list[int]:
    return list(range(24, len(text) - 8, max(1, len(text) // 6)))


each_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


@pytest.mark.few_rows(3)
@pytest.mark.slow_rows("1-exact-long", "1-echo-long", "1-markers-long")
@each_text
@pytest.mark.parametrize("model", JOINING.values(), ids=JOINING)
@pytest.mark.parametrize("size", [1, pytest.param(5, marks=pytest.mark.slow), 1_000])
def test_a_model_that_writes_the_last_words_is_joined_or_not_shown(
    text: str, model: Model, size: int
) -> None:
    joined = 0
    for cut in cuts_of(text):
        played = asked(text, cut, model, ASKED, size=size)
        shown = text_of(played)

        assert shown == played.message.text
        assert shown.rstrip() == text.rstrip() if played.error is None else shown == text[:cut]
        joined += played.error is None
    assert joined


@pytest.mark.few_rows(4)
@each_text
@pytest.mark.parametrize("model", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("size", [1, 1_000])
def test_nothing_is_shown_of_a_model_that_writes_something_else(text: str, model: Model, size: int) -> None:
    """The error is the one that broke off the answer, with the part that had arrived."""
    for cut in cuts_of(text):
        played = asked(text, cut, model, ASKED, size=size)
        shown = text_of(played)

        assert shown == text[:cut]
        assert isinstance(played.error, StreamTruncated)
        assert text[:cut] == played.error.partial.text == played.message.text
        assert [] == [event for event in played.given if isinstance(event, Resumed)]


@in_each_world
def test_the_next_attempt_is_made_where_a_continuation_does_not_join(world: str) -> None:
    """The model does better at the second time; both are paid."""
    text, cut = TEXTS["prose"], 50
    retry = Retry(wait=0)
    replies = [OTHERS["refusal"], JOINING["exact"]]
    bodies = [answer(reply(text[:cut], text[cut:]), 5) for reply in replies]
    played = play(world, [broken(text, cut), *bodies], retry, format="openai-chat")

    assert text == text_of(played) == played.message.text
    assert ["StreamTruncated", "AnswerRejected", "NoneType"] == [
        type(report.error).__name__ for report in played.reports
    ]
    assert [None, 0.5, 1.0] == [report.confidence for report in played.reports]
    assert [0, 1, 2] == sorted(set(played.closed))


@pytest.mark.parametrize("attempts", [3, 5])
def test_the_last_attempt_asks_a_model_again_that_joins_nothing(attempts: int) -> None:
    text = TEXTS["prose"]
    refusals = [answer(OTHERS["refusal"]("", ""), 5)] * (attempts - 2)
    retry = Retry(again=True, wait=0, attempts=attempts)
    played = play("sync", [broken(text, 50), *refusals, answer(text, 5)], retry, format="openai-chat")

    assert (text, None) == (text_of(played), played.error)
    assert ["start", *["continue"] * (attempts - 2), "restart"] == [each.mode for each in played.reports]


@pytest.mark.few_rows(3)
@pytest.mark.slow_rows("long")
@each_text
def test_a_continuation_that_breaks_again_is_continued(text: str) -> None:
    retry = Retry(again=True, wait=0, attempts=3)
    for cut in cuts_of(text):
        exact = JOINING["exact"]

        def ask_again(attempt: Attempt, text: str = text) -> list[bytes]:
            given = attempt.message.text
            return answer(JOINING["exact"](given, text[len(given) :]), 3)

        for length in (4, 38, 44, 60):
            second = answer(exact(text[:cut], text[cut:])[:length], 3)[:-2]
            played = play("sync", [broken(text, cut), second, ask_again], retry, format="openai-chat")

            assert text.rstrip() == text_of(played).rstrip()


# -- behind a prefix -----------------------------------------------------------


@each_text
def test_nothing_is_shown_of_a_server_that_begins_anew_after_a_prefix(text: str) -> None:
    """The text itself shows that: it repeats the answer's beginning, and then differs."""
    for cut in (cut for cut in cuts_of(text) if cut > 60):
        played = asked(text, cut, lambda given, _: given[:50] + AGAIN, BEHIND_A_PREFIX)

        assert text[:cut] == text_of(played)
        assert played.reports[-1].confidence in (0.1, 0.5)


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
def test_an_empty_continuation_of_a_prefix_is_the_end_if_the_model_says_so(reason: str) -> None:
    """The model had nothing to add; with another finish reason, it was not allowed to."""
    text = TEXTS["prose"]
    bodies = [broken(text, 50), answer("", 5, reason=reason)]
    played = play("sync", bodies, BEHIND_A_PREFIX, format="openai-chat")

    assert text[:50] == text_of(played) == played.message.text
    assert (reason == "stop") == (played.error is None) == played.message.complete


def test_a_server_that_does_not_continue_a_prefix_is_then_asked_in_a_user_s_turn() -> None:
    """A second prefix would be begun anew, too."""
    text = TEXTS["prose"]
    bodies: list[Any] = [
        broken(text, 60),
        answer(text[:50] + AGAIN, 5),
        answer(JOINING["exact"](text[:60], text[60:]), 5),
    ]
    played = play("sync", bodies, replace(PREFIX, attempts=4), format="openai-chat")

    assert text == text_of(played)
    assert [False, True, False] == [attempt.prefill for attempt in played.asked]


def test_a_short_answer_is_begun_again() -> None:
    """Of a few characters, nobody can tell that they came again."""
    text = TEXTS["prose"]
    bodies = [broken(text, 9), answer(text, 5)]
    played = play("sync", bodies, Retry(again=True, wait=0), format="openai-chat")

    assert text == text_of(played)
    assert ("restart", True) == (played.asked[1].mode, "too short" in str(played.asked[1].why))
    assert 1 == len([event for event in played.given if isinstance(event, Restarted)])


@pytest.mark.parametrize("period", [40, 41, 60, 100, 300])
@pytest.mark.parametrize("beyond", [0, 3, 20, 39])
def test_a_text_with_a_period_that_goes_on_without_the_last_words_is_never_certain(
    period: int, beyond: int
) -> None:
    """A refrain, or equal rows: the same words come again, or for the first time."""
    row = " ".join(map(str, range(1_000)))[: period - 1] + "\n"
    for times in (1, 2, 5):
        if (times, beyond) == (1, 0) and period <= 41:
            # The model was asked to begin with all of the answer, so one that does so is believed.
            continue
        given = row * times + row[:beyond]
        reply = row[beyond:] + row * 3 + "The end."
        played = play(
            "sync",
            [broken(given, len(given)), answer(reply, 5)],
            Retry(again=True, wait=0, attempts=2, seam=Seam(least=0)),
            format="openai-chat",
        )
        (seam,) = [event for event in played.given if isinstance(event, Resumed)]

        assert seam.confidence < 1.0 or given + reply == text_of(played)


# -- what is told of a seam ----------------------------------------------------


@in_each_world
def test_the_message_names_the_places_where_it_was_joined(world: str) -> None:
    text = TEXTS["prose"]
    retry = Retry(again=True, wait=0, attempts=5)
    half = answer(JOINING["exact"](text[:50], text[50:])[:60], 5)[:-2]
    bodies: list[Any] = [
        broken(text, 50),
        half,
        answer(OTHERS["refusal"]("", ""), 5),
        lambda attempt: answer(
            JOINING["preamble"](attempt.message.text, text[len(attempt.message.text) :]), 5
        ),
    ]
    played = play(world, bodies, retry, format="openai-chat")
    folded = Accumulator()
    for event in played.given:
        folded.feed(event)

    first, second = played.message.joined
    assert text == played.message.text
    assert ("continue", 0, 50, 1.0, "other") == (
        first.mode, first.part, first.at, first.confidence, first.model,
    )  # fmt: skip
    sentence = "Sure, here is the rest:\n\n"
    given = text[: second.at]
    assert (0.8, len(sentence + last_words(given))) == (second.confidence, second.dropped)
    assert 50 < second.at < len(text)
    assert played.message.joined == folded.message.joined
    assert played.message == Message.model_validate_json(played.message.model_dump_json())


def test_a_checkpoint_keeps_the_joins() -> None:
    text = TEXTS["prose"]
    half = answer(JOINING["exact"](text[:50], text[50:])[:60], 5)[:-2]
    played = play("sync", [broken(text, 50), half], ASKED, format="openai-chat")
    error = played.error
    assert error is not None

    kept = Checkpoint.model_validate_json(error.checkpoint.model_dump_json())
    assert [50] == [join.at for join in kept.message.joined]
    assert error.partial.joined == kept.message.joined == played.message.joined
    restored = Accumulator()
    restored.restore(kept.message)
    assert kept.message.joined == restored.message.joined


def test_an_answer_that_was_restarted_after_a_seam_has_no_joins() -> None:
    text = TEXTS["prose"]
    refused = testing.script().text(JOINING["exact"](text[:50], text[50:])).refusal("I can't.")
    bodies = [broken(text, 50), refused.chunks("openai-chat"), answer("Another one.", 5)]
    played = play("sync", bodies, Retry(again=True, wait=0), format="openai-chat")

    assert ("Another one.", ()) == (played.message.text, played.message.joined)


def test_a_doubtful_join_is_a_warning_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    text = TEXTS["prose"]
    with caplog.at_level("WARNING", "tokenstream"):
        asked(text, 50, JOINING["exact"], ASKED)
        asked(text, 50, lambda given, rest: base_of(given)[1] + rest, BEHIND_A_PREFIX)
        assert [] == caplog.messages
        asked(text, 50, JOINING["preamble"], ASKED)

    (message,) = caplog.messages
    assert "0.8" in message
    assert "stone" not in message
