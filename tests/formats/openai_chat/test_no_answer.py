"""An end that proves no answer: words under names that nobody reads."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.wire import sse
from tokenstream import Stream
from tokenstream.errors import NotAStream, StreamTruncated

END = b"data: [DONE]\n\n"
HEAD = {"id": "c", "object": "chat.completion.chunk", "model": "m"}


def chat(*choices: dict[str, Any]) -> list[bytes]:
    """Return chunks with one choice each, the last of which has a finish reason."""
    last = {"index": 0, "finish_reason": "stop"}
    bodies = [*({"index": 0, **choice} for choice in choices[:-1]), {**last, **choices[-1]}]
    return [sse({**HEAD, "choices": [body]}) for body in bodies]


@pytest.mark.parametrize("end", [[], [END]], ids=["no mark", "mark"])
@pytest.mark.parametrize(
    "foreign",
    [
        {"reply": {"lines": [{"said": "Ebb"}]}},
        {"content": "Ebb"},
        {"delta": "Ebb"},
        {"delta": {"role": "assistant", "utterance": ["Ebb"]}},
        {"tokens": ["Ebb"]},
    ],
    ids=str,
)
def test_words_under_names_that_nobody_reads_are_no_answer(foreign: dict[str, Any], end: list[bytes]) -> None:
    """A finish reason behind them ends nothing that was read, so that a retry asks again."""
    with pytest.raises((StreamTruncated, NotAStream)):
        Stream([*chat(foreign, foreign), *end]).final()
    with pytest.raises((StreamTruncated, NotAStream)):
        Stream([*chat(foreign, {"delta": {}}), *end]).final()


@pytest.mark.parametrize(
    "fields",
    [{"score": 0.5}, {"trace": {"flags": [True, None, ""]}}, {"stop_reason": "eos"}, {"delta": {}}],
    ids=str,
)
def test_what_has_no_words_leaves_no_doubt(fields: dict[str, Any]) -> None:
    """Numbers, truths and empty values are no content, nor are documented fields; the answer is empty."""
    stream = Stream([*chat({"delta": {"role": "assistant"}}, fields), END])

    assert stream.final().complete


def test_unread_words_beside_a_text_change_nothing() -> None:
    """The text shows that the format is the right one."""
    stream = Stream([*chat({"delta": {"content": "Ebb"}, "mood": "calm"}, {"mood": "gay"}), END])

    assert ("Ebb", "stop") == (stream.final().text, stream.message.finish_reason)
