import httpx
from app import ask

from tokenstream import testing


def test_the_weather_is_asked_for() -> None:
    answer = (
        testing.script()
        .text("Let me see.")
        .tool_call("get_weather", {"city": "Oslo"})
        .finish()
    )

    with httpx.Client(transport=testing.transport(answer)) as client:
        assert ask(client, "Weather?") == ["Let me see.", "get_weather(Oslo)"]
