"""The stages that there are, one behind the other."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from typing import Any

import pytest

from tests.stages.chain.support import Words
from tests.support import registry
from tests.support.chunkings import several, sized
from tests.support.recordings import Recorded, ours
from tests.support.wire import DONE, chat
from tokenstream import Limits
from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import LimitExceeded, OutputIncomplete, StreamTruncated
from tokenstream.events import TextDelta
from tokenstream.formats import Format
from tokenstream.framing import AWSEventStreamParser, SSEParser
from tokenstream.framing._body import JSONBody
from tokenstream.framing._content_coding import ContentDecoder
from tokenstream.framing._sniff import sniff
from tokenstream.limits import DEFAULT_LIMITS
from tokenstream.partial_json import PartialJSONParser, ValueDone
from tokenstream.stages import Chain, Stage
from tokenstream.stages._objects.items import Field, Items
from tokenstream.stages._objects.partials import Partials


def _framing(body: bytes) -> Stage[bytes, Any]:
    found = sniff(body, None, over=True)
    if found == "sse":
        return SSEParser()
    return AWSEventStreamParser() if found == "aws-eventstream" else JSONBody()


def _format(name: str) -> Format:
    return registry.create(name, limits=DEFAULT_LIMITS)


def _given(chain: Chain[bytes, Any], chunks: Iterable[bytes]) -> list[Any]:
    return [*[item for chunk in chunks for item in chain.feed(chunk)], *chain.end()]


_ONE_OF_EACH = {recorded.format: recorded for recorded in ours()}


@pytest.mark.few_rows(8)
@pytest.mark.parametrize("recorded", _ONE_OF_EACH.values(), ids=lambda recorded: recorded.name)
def test_a_chain_of_framing_format_and_accumulator_equals_feeding_by_hand(recorded: Recorded) -> None:
    for chunks in several(recorded.body, recorded.name).values():
        framing, format = _framing(recorded.body), _format(recorded.format)
        by_hand = [event for chunk in chunks for frame in framing.feed(chunk) for event in format.feed(frame)]
        by_hand += [event for frame in framing.end() for event in format.feed(frame)]
        by_hand += format.end()
        events = Chain(_framing(recorded.body), _format(recorded.format))

        assert by_hand == _given(events, chunks)
        assert repr(format.error) == repr(events.error)

        whole, accumulator = Accumulator(), Accumulator()
        for event in by_hand:
            whole.feed(event)
        chain = Chain(_framing(recorded.body), _format(recorded.format), accumulator)

        assert [] == _given(chain, chunks)
        assert whole.messages == accumulator.messages


class _Texts(Words):
    def feed(self, item: Any, *, now: float = 0.0) -> list[str]:
        return [item.text] if isinstance(item, TextDelta) else []


_JSON = '{"steps": [1, 2, 30], "title": "Tea"}'
_OUTPUT = b"".join(
    [*[chat({"content": piece}) for piece in (_JSON[:11], _JSON[11:18], _JSON[18:])], chat({}, "stop"), DONE]
)


def _texts() -> Chain[bytes, str]:
    return Chain(
        Chain(ContentDecoder("gzip", limits=DEFAULT_LIMITS), SSEParser()), _format("openai-chat"), _Texts()
    )


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_from_a_compressed_body_to_typed_output_is_one_chain(size: int) -> None:
    body = gzip.compress(_OUTPUT)

    def given(last: Stage[str, Any]) -> list[Any]:
        chain: Chain[bytes, Any] = Chain(_texts(), last)
        out = _given(chain, sized(body, size))
        chain.check()
        return out

    assert [1, 2, 30] == given(Items(int, "steps"))
    assert "Tea" == "".join(given(Field("title")))
    assert {"steps": [1, 2, 30], "title": "Tea"} == given(Partials(dict[str, Any]))[-1].final()
    assert [1, 2, 30, "Tea"] == [
        event.value
        for event in given(PartialJSONParser())
        if isinstance(event, ValueDone) and event.path[-1:] != ("steps",) and event.path
    ]


def test_a_cut_body_is_the_error_of_the_first_stage_that_notices() -> None:
    """Each stage behind it misses something as well, and gives what it has."""
    items = Items(int, "steps")
    chain: Chain[bytes, Any] = Chain(_texts(), items)
    body = gzip.compress(_OUTPUT)

    assert [1, 2, 30] == _given(chain, [body[:-9]])
    assert isinstance(chain.error, StreamTruncated)
    assert "compressed" in str(chain.error)


def test_a_bound_of_the_framing_is_the_error_of_the_chain() -> None:
    """The format and the JSON are cut by it, and that is no error of theirs."""
    items = Items(int, "steps")
    chain = Chain(SSEParser(limits=Limits(line=220)), _format("openai-chat"), _Texts(), items)

    assert [1, 2] == chain.feed(_OUTPUT[: _OUTPUT.index(b"Tea") - 20] + b"x" * 220)
    assert isinstance(chain.error, LimitExceeded)
    assert isinstance(items.error, OutputIncomplete)
