from pathlib import Path

from app import weather

from tokenstream import testing
from tokenstream.errors import StreamInterrupted, StreamTruncated

ORDER = testing.Recording.load(Path(__file__).parent / "recordings" / "weather.rec")


def test_the_weather_is_asked_for_however_it_arrives() -> None:
    shown = testing.assert_stream(
        weather, ORDER, allow=(StreamTruncated, StreamInterrupted)
    )

    assert shown == ["Let me see.", "get_weather(Oslo)"]
