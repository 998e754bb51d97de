import pytest
from app import weather

from tokenstream import testing

ANSWER = (
    testing.script()
    .text("Let me see.")
    .tool_call("get_weather", {"city": "Oslo"})
    .finish()
)


@pytest.mark.parametrize("format", ANSWER.formats)
def test_the_weather_is_asked_for_at_every_provider(format: str) -> None:
    assert weather(ANSWER.stream(format)) == ["Let me see.", "get_weather(Oslo)"]
