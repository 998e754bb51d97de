"""What the user has said, in each protocol."""

from __future__ import annotations

from tests.support.encoders import PROTOCOLS, read_as
from tests.support.tables import in_one_test
from tokenstream import Stream, relay
from tokenstream.events import Event, Finish, InputTranscript, MessageStart, TextDelta
from tokenstream.relay import ProtocolName

HEARD = [
    InputTranscript("What ", "u"),
    InputTranscript("", "u", done=True, transcript="What time?"),
    InputTranscript("", "v", done=True, error="noise"),
]
EVENTS: list[Event] = [
    MessageStart(id="resp_1", model="m"),
    HEARD[0],
    TextDelta("Noon."),
    *HEARD[1:],
    Finish("stop"),
]


@in_one_test("protocol", PROTOCOLS)
def test_a_page_gets_the_words_where_its_protocol_has_a_place(protocol: ProtocolName) -> None:
    """Elsewhere, the answer is sent without them, and nothing of it is lost."""
    sent = [*relay.encode(iter(EVENTS), protocol)]
    if (format := read_as(protocol)) is None:
        return
    events = [*Stream(sent, format=format)]

    assert "".join(one.text for one in events if isinstance(one, TextDelta)) == "Noon."
    expected = HEARD if protocol in ("tokenstream", "ndjson") else []
    assert [one for one in events if isinstance(one, InputTranscript)] == expected
