"""All stages that cut a text have one notion of a letter: that of UAX #29, conjuncts included."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support import wire
from tests.support.pacing import played
from tests.support.playing import silent_after
from tests.support.text_stages import letter_borders
from tokenstream.stages import Chain, Graphemes, Sentences, Smooth

HINDI = "क्षत्रिय विद्यार्थी प्रश्न ज्ञान स्त्री कृष्ण श्रद्धा उत्तर "
"""Words in which marks join consonants to conjuncts."""
_PARTS = [
    *(
        "a",
        " ",
        "\r",
        "\n",
        ".",
        "e\u0301",
        "👍🏽",
        "👩\u200d👧",
        "🇩🇪",
        "🇩",
        "\u1112",
        "\u1161",
        "\u11ab",
        "각",
    ),
    *("क", "\u094d", "ष", "\u093c", "\u200d", "\u200c", "ि", "অ", "ক", "\u09cd", "க", "\u0bcd", "\u0600"),
    *("က", "\u1039", "ក", "\u17d2", "\ua98f", "\ua9c0", "กำ", "\ufe0f", "\u0301"),
]
_TEXTS = st.lists(st.sampled_from(_PARTS), min_size=1, max_size=12).map("".join)


@given(_TEXTS, st.floats(0.05, 0.5))
@example("\u1112\uac01" * 4, 0.05)
@example("\ua960\uac00\u11a8" * 4, 0.05)
def test_smoothing_cuts_no_letter(text: str, max_delay: float) -> None:
    shown = [piece for _, piece in played(Smooth(max_delay=max_delay), [(0.0, text), (9.0, "a")])]
    ends = [len("".join(shown[: count + 1])) for count in range(len(shown) - 2)]

    assert "".join(shown) == text + "a"
    assert {*ends} <= {*letter_borders(text), len(text)}


def test_letters_are_smoothed_like_any_text() -> None:
    """A burst of whole letters comes in small pieces, at an even pace."""
    burst = HINDI * 3
    body = [(0.0, "a"), (1.0, burst), (3.0, ".")]
    plain = played(Smooth(max_delay=0.5), [(at, text) for at, text in body])
    whole = played(Chain(Graphemes(), Smooth(max_delay=0.5)), [(at, text) for at, text in body])

    assert abs(len(whole) - len(plain)) <= 2
    assert max(len(text) for _, text in whole) < len(burst) / 5


def test_a_view_of_letters_is_smoothed() -> None:
    burst, end = wire.chat({"content": HINDI}), wire.chat({"content": "."}, "stop")
    with silent_after(burst, 2.0, end, wire.DONE).stream(format="openai-chat") as stream:
        shown = list(stream.text.graphemes().smooth(max_delay=0.4))

    assert "".join(shown) == HINDI + "."
    assert len(shown) > 5


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("彼は「行くよ。」と言った。次。", ["彼は「行くよ。」と言った。", "次。"]),
        ("「もう行くよ!」って言ってた。はい。", ["「もう行くよ!」って言ってた。", "はい。"]),
        ("『待て。』を三回読んだ。終わり。", ["『待て。』を三回読んだ。", "終わり。"]),
        ("「はい。」それから寝た。", ["「はい。」", "それから寝た。"]),
        ("「はい。」彼は寝た。", ["「はい。」", "彼は寝た。"]),
        ("「はい。」 とても眠い。", ["「はい。」 ", "とても眠い。"]),
        ("雨だ。とても寒い。", ["雨だ。", "とても寒い。"]),
    ],
)
def test_a_quotation_before_a_particle_does_not_end_a_sentence(text: str, sentences: list[str]) -> None:
    """A particle goes on with the sentence; a blank, or any other word, begins the next one."""
    stage = Sentences()
    found = [sentence for letter in text for sentence in stage.feed(letter)] + stage.end()

    assert found == sentences
