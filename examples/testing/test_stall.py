import pytest

from tokenstream import Deadlines, testing
from tokenstream.errors import StreamStalled


def test_a_silent_server_is_given_up() -> None:
    answer = testing.script().text("Hello").silence(90).text(" again").finish()
    stream = answer.stream(pace="recorded", deadlines=Deadlines(idle_bytes=60))

    with pytest.raises(StreamStalled, match="within 60 s"):
        stream.final()
    assert stream.message.text == "Hello"
