"""What an earlier version has written is read; see README.md."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tokenstream import Checkpoint, Message, Stream
from tokenstream.errors import MisuseError
from tokenstream.events import ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.events import Event

_HERE = Path(__file__).parent
_BODY = (_HERE / "answer.sse").read_bytes()
_RESULT = ToolResult("mcp_1", "4", provider_executed=True)


def _results_in(events: Iterable[Event]) -> list[ToolResult]:
    return [event for event in events if isinstance(event, ToolResult)]


def test_a_message_is_that_of_the_answer_from_json_and_from_a_pickle() -> None:
    """The fields that it lacks have their defaults, also in its parts."""
    pickled: Message = pickle.loads((_HERE / "message.pickle").read_bytes())
    expected = Stream([_BODY]).final()

    assert expected == pickled == Message.model_validate_json((_HERE / "message.json").read_text("utf-8"))
    assert expected.model_dump_json() == pickled.model_dump_json()
    assert ((), {}) == (pickled.results, dict(pickled.tool_results))


def test_a_checkpoint_of_another_state_is_refused_before_anything_is_asked_for() -> None:
    """Its message can still be read; the format has another state since."""
    checkpoint = Checkpoint.model_validate_json((_HERE / "checkpoint.json").read_text("utf-8"))

    with pytest.raises(MisuseError, match=r"another version of tokenstream, .* ask for the answer anew"):
        Stream.from_checkpoint(checkpoint, [_BODY])
    assert checkpoint.message.id == Stream([_BODY]).final().id


def test_a_journal_has_each_result_once() -> None:
    """It has both a part and an event for the result; the part alone counts."""
    records = (_HERE / "journal.ndjson").read_bytes().splitlines(keepends=True)
    stream = Stream(records, format="tokenstream")
    (result,) = _results_in(stream)

    assert ("c", "sun", None) == (result.id, result.output, result.error)
    assert ((), "Sun.") == (stream.message.results, stream.message.text)


def test_the_answer_itself_has_one_result() -> None:
    """The files above are of this answer."""
    assert [_RESULT] == _results_in(Stream([_BODY]))
