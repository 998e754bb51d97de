"""The Responses streams of openai's SDK, over real connections: what they give is what their bytes give."""

from __future__ import annotations

from typing import Any

import pytest

from tests._sources import scenarios
from tests._sources.scenarios import Body, Opener
from tests._sources.sdks import opening, seen
from tests.support.either import at_once
from tests.support.loopback import Loopback, chunked, sized
from tests.support.packages import needed
from tests.support.recordings import OURS
from tests.support.wire import sse
from tokenstream import Message, Stream, tap
from tokenstream.errors import ProviderError

openai = needed("openai")

pytestmark = [
    pytest.mark.not_quick,
    pytest.mark.anyio,
    # On trio, the SDK leaves its generators to the collector.
    pytest.mark.filterwarnings("ignore:Async generator '(openai|httpx2|httpcore2)[.]:ResourceWarning"),
]

ASKED: dict[str, Any] = {"model": "m", "input": "q"}


def _body(name: str, *pieces: str) -> Body:
    recorded = (OURS / "openai-responses" / f"{name}.sse").read_bytes()
    frames = [event + b"\n\n" for event in recorded.split(b"\n\n") if event]
    return Body("openai-responses", frames, pieces)


BODIES = {
    "reasoning and calls": _body("reasoning_tool_calls", "I'll", " look", " both", " up", "."),
    "code": _body("code_interpreter", "The", " sum", " is", " 45", "."),
    "custom tool": _body("custom_tool"),
    "refusal": _body("refusal"),
}
each_body = pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)


def _client(url: str) -> Any:
    return openai.OpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0)


_created = opening(_client, lambda client: client.responses.create(**ASKED, stream=True))
_helper = opening(_client, lambda client: client.responses.stream(**ASKED), is_entered=True)
_manager = opening(_client, lambda client: client.responses.stream(**ASKED))
_observed = opening(_created, seen)
_observed_helper = opening(_helper, seen)


OPENERS = {
    "create": _created,
    "stream helper": _helper,
    "stream manager": _manager,
    "observed create": _observed,
    "observed helper": _observed_helper,
}


@pytest.mark.slow_rows("reasoning and calls")
@each_body
@pytest.mark.parametrize("opener", OPENERS.values(), ids=OPENERS)
def test_a_stream_of_the_sdk_gives_what_its_bytes_give(opener: Opener, body: Body) -> None:
    at_once(scenarios.gives_what_plain_bytes_give(opener, body))


def _same(message: Message, body: Body) -> bool:
    return message == body.message and message.ending == "complete"


@each_body
@pytest.mark.parametrize("opener", [_created, _helper], ids=["create", "stream helper"])
def test_a_tap_sees_what_the_sdk_gives_on(opener: Opener, body: Body) -> None:
    """The SDK's own loop goes on, event by event; the message is beside it."""
    with Loopback(chunked(body.frames)) as server, opener(server.url) as source:
        tapped = tap(source)
        kinds = [event.type for event in tapped]

    assert (len(body.frames), "response.completed") == (len(kinds), kinds[-1])
    assert _same(tapped.message, body)


def test_an_error_that_the_sdk_gives_as_an_event_is_the_provider_speaking() -> None:
    """The documented, flat shape is no exception there, and the stream would end without a word."""
    payload = {"type": "error", "code": "server_error", "message": "m", "param": None, "sequence_number": 2}
    error = sse(payload, event="error")
    with (
        Loopback(chunked([*BODIES["code"].frames[:2], error])) as server,
        _observed(server.url) as source,
        pytest.raises(ProviderError) as caught,
    ):
        Stream(source).final()

    assert ("server_error", True) == (caught.value.code, caught.value.retryable)


def test_a_whole_response_is_read_as_an_answer() -> None:
    """A server that refused to stream gives it as JSON."""
    with (
        Loopback(
            sized(
                b'{"id":"resp_1","object":"response","status":"completed","model":"m","output":[{"id":"msg_1",'
                b'"type":"message","status":"completed","role":"assistant","content":[{"type":"output_text",'
                b'"text":"Hello","annotations":[]}]}],"usage":null}',
                content_type="application/json",
            )
        ) as server,
        _created(server.url) as source,
    ):
        stream = Stream(source)
        message = stream.final()

    assert ("Hello", "complete", "openai-responses") == (message.text, message.ending, stream.format)
