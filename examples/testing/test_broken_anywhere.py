import httpx
import pytest
from app import ask_and_keep

from tokenstream import testing
from tokenstream.testing import faults

ANSWER = (
    testing.script().text("The capital of ", "Norway").finish().recording("openai-chat")
)
EVENTS = len(ANSWER.chunks("events"))


@pytest.mark.parametrize("event", range(EVENTS + 1))
def test_what_had_come_is_shown_wherever_it_breaks(event: int) -> None:
    with httpx.Client(
        transport=testing.transport(ANSWER, fault=faults.reset(event=event))
    ) as client:
        shown = ask_and_keep(client, "Capital?")

    text = shown.removesuffix(" … (connection lost)")
    assert "The capital of Norway".startswith(text)
    assert (text == shown) == (event >= EVENTS - 1)
