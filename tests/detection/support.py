"""First payloads of two formats, and the answer that they are of."""

from __future__ import annotations

import httpx

from tests.support import wire
from tests.support.reading import Reading
from tokenstream import Stream
from tokenstream.errors import StreamError

CHAT = wire.chat({"role": "assistant", "content": "Hi"}) + wire.chat({}, "stop") + wire.DONE


def respond(body: bytes, content_type: str | None = "text/event-stream", *, status: int = 200) -> Reading:
    headers = {} if content_type is None else {"content-type": content_type}
    response = httpx.Response(
        status,
        headers=headers,
        stream=httpx.ByteStream(body),
        request=httpx.Request("POST", "http://server.test/"),
    )
    reading = Reading()
    stream = Stream(response)
    try:
        reading.events.extend(stream)
    except StreamError as error:
        reading.error = error
    reading.message, reading.messages, reading.format = stream.message, stream.messages, stream.format
    reading.departures = stream.departures.details
    reading.closed = response.is_closed
    return reading


def greets(reading: Reading, format: str) -> bool:
    """Tell whether the answer is "Hi", in this format, whole."""
    told = reading.error, reading.format, reading.message.text, reading.message.ending
    return told == (None, format, "Hi", "complete")
