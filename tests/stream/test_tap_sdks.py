"""`tap` around the streams of the real SDKs, over real sockets: loops and helpers go on, ours sees all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib.resources import files
from typing import Any, Self

import anyio
import pytest

from tests.stream.bodies import ANSWER
from tests.support.loopback import LAST_CHUNK, OPEN, RST, Loopback, Script, chunked_head, http_chunk, sized
from tests.support.packages import needed
from tests.support.wire import sse
from tokenstream import Message, Stream, tap, testing
from tokenstream.errors import ProviderError, StatusError, StreamInterrupted, StreamTruncated

openai: Any = needed("openai")
anthropic: Any = needed("anthropic")

pytestmark = [
    # Importing an SDK takes seconds on a busy machine.
    pytest.mark.timeout(60),
    # On trio, the SDKs leave their generators to the collector, tapped or not.
    pytest.mark.filterwarnings(
        "ignore:Async generator '(openai|anthropic|httpx2|httpcore2)[.]:ResourceWarning"
    ),
]


def recorded(name: str) -> list[bytes]:
    body = files("tokenstream.cli").joinpath("recordings", name).read_bytes()
    return [event + b"\n\n" for event in body.split(b"\n\n") if event]


CHAT, CLAUDE = recorded("openai-chat.sse"), recorded("anthropic.sse")
BODIES = {"openai": CHAT, "anthropic": CLAUDE}
WHOLE: dict[str, Message] = {name: Stream(body).final() for name, body in BODIES.items()}
ASKED: dict[str, Any] = {"model": "demo-1", "messages": [{"role": "user", "content": "Why?"}]}
FIRST = {"openai": 4, "anthropic": 6}
"""How many events are sent before something goes wrong."""


def answer(body: list[bytes]) -> Script:
    """Return an answer after which the connection is not used again, so that no request meets its end."""
    return [chunked_head([("Connection", "close")]), *map(http_chunk, body), LAST_CHUNK]


each_sdk = pytest.mark.parametrize("sdk", ["openai", "anthropic"])


class Client:
    """One SDK, pointed at a server, in the shape that both have in common."""

    def __init__(self, sdk: str, server: Loopback, *, later: bool = False) -> None:
        kind = {
            ("openai", False): openai.OpenAI,
            ("openai", True): openai.AsyncOpenAI,
            ("anthropic", False): anthropic.Anthropic,
            ("anthropic", True): anthropic.AsyncAnthropic,
        }[sdk, later]
        base = server.url + ("/v1" if sdk == "openai" else "")
        self.own = kind(api_key="made-up", base_url=base, max_retries=0)
        self.resource = self.own.chat.completions if sdk == "openai" else self.own.messages
        self.asked = ASKED if sdk == "openai" else {**ASKED, "max_tokens": 9}

    def create(self, resource: Any = None) -> Any:
        return (resource or self.resource).create(**self.asked, stream=True)

    def stream(self) -> Any:
        return self.resource.stream(**self.asked)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.own.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.own.close()


def is_whole(tapped: Any, sdk: str) -> None:
    """Hold that everything was seen."""
    assert tapped.message == WHOLE[sdk]
    assert tapped.error is None
    assert {} == dict(tapped.departures)
    assert tapped.metrics.first_text is not None


# -- whole answers ---------------------------------------------------------


@each_sdk
def test_the_loop_gets_the_sdks_own_objects(sdk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the very ones that the SDK makes, all of them, in their order."""
    made: list[Any] = []
    with Loopback(answer(BODIES[sdk])) as server, Client(sdk, server) as client:
        name = "_process_response_data"
        make = getattr(client.own, name)

        def noted(**options: Any) -> Any:
            made.append(make(**options))
            return made[-1]

        monkeypatch.setattr(client.own, name, noted)
        got = list(tapped := tap(client.create()))

    assert len(got) >= len(BODIES[sdk]) - 2
    assert all(ours is own for ours, own in zip(got, made, strict=True))
    is_whole(tapped, sdk)


@pytest.mark.anyio
@each_sdk
@pytest.mark.parametrize("way", ["awaited before", "awaited by the tap", "helper"])
async def test_an_async_loop_gets_the_same_as_without(sdk: str, way: str) -> None:
    """The objects are equal to those that an untapped loop gets, and the message is whole."""
    with Loopback(answer(BODIES[sdk])) as server:
        async with Client(sdk, server, later=True) as client:
            if way == "awaited before":
                untapped = [item.to_dict() async for item in await client.create()]
                tapped: Any = tap(await client.create())
                got = [item.to_dict() async for item in tapped]
            elif way == "awaited by the tap":
                untapped = [item.to_dict() async for item in await client.create()]
                async with tap(client.create()) as tapped:
                    got = [item.to_dict() async for item in tapped]
            else:
                async with client.stream() as stream:
                    untapped = [item.type async for item in stream]
                async with tap(client.stream()) as tapped:
                    got = [item.type async for item in tapped]

    assert untapped == got
    is_whole(tapped, sdk)


def _openai_final(stream: Any) -> str:
    return str(stream.get_final_completion().choices[0].message.content)


def _openai_until_done(stream: Any) -> str:
    return str(stream.until_done().current_completion_snapshot.choices[0].message.content)


def _openai_events(stream: Any) -> str:
    return "".join(event.delta for event in stream if event.type == "content.delta")


def _anthropic_final(stream: Any) -> str:
    return str(stream.get_final_text())


def _anthropic_text(stream: Any) -> str:
    text = "".join(stream.text_stream)
    assert stream.get_final_message().stop_reason == "tool_use"
    return text


def _anthropic_events(stream: Any) -> str:
    return "".join(event.text for event in stream if event.type == "text")


HELPERS: list[tuple[str, Callable[[Any], str]]] = [
    ("openai", _openai_final),
    ("openai", _openai_until_done),
    ("openai", _openai_events),
    ("anthropic", _anthropic_final),
    ("anthropic", _anthropic_text),
    ("anthropic", _anthropic_events),
]


@pytest.mark.parametrize("sdk, use", HELPERS, ids=[use.__name__.strip("_") for _, use in HELPERS])
@pytest.mark.parametrize("outside", [True, False], ids=["manager", "stream"])
def test_helpers_go_on_working(sdk: str, use: Callable[[Any], str], *, outside: bool) -> None:
    """Whatever method reads the answer, ours sees it, tapped before `with` or within."""
    with Loopback(answer(BODIES[sdk])) as server, Client(sdk, server) as client:
        if outside:
            with tap(client.stream()) as tapped:
                text = use(tapped)
        else:
            with client.stream() as stream:
                tapped = tap(stream)
                text = use(tapped)

    assert WHOLE[sdk].text == text
    is_whole(tapped, sdk)


@pytest.mark.anyio
async def test_async_helpers_go_on_working() -> None:
    """The same for those that are awaited."""
    with Loopback(answer(CHAT)) as server:
        async with Client("openai", server, later=True) as client, tap(client.stream()) as first:
            await first.until_done()
            final = await first.get_final_completion()
    with Loopback(answer(CLAUDE)) as server:
        async with Client("anthropic", server, later=True) as client, tap(client.stream()) as second:
            text = "".join([piece async for piece in second.text_stream])
            message = await second.get_final_message()

    assert WHOLE["openai"].text == final.choices[0].message.content
    assert WHOLE["anthropic"].text == text
    assert "tool_use" == message.stop_reason
    is_whole(first, "openai")
    is_whole(second, "anthropic")


@each_sdk
def test_the_untapped_stream_may_be_read_too(sdk: str) -> None:
    """Code that holds the SDK's stream need not be handed the tap: what it reads is seen."""
    with Loopback(answer(BODIES[sdk])) as server, Client(sdk, server) as client:
        stream = client.create()
        tapped = tap(stream)
        list(stream)

    is_whole(tapped, sdk)


@each_sdk
def test_raw_responses_are_tapped_beneath(sdk: str) -> None:
    """`with_raw_response` and `with_streaming_response` give a response, whose parsed stream is seen."""
    with Loopback(answer(BODIES[sdk])) as server, Client(sdk, server) as client:
        first: Any = tap(client.create(client.resource.with_raw_response))
        list(first.parse())
        with tap(client.create(client.resource.with_streaming_response)) as second:
            list(second.parse())

    is_whole(first, sdk)
    is_whole(second, sdk)


# -- a generator between ---------------------------------------------------


@pytest.mark.anyio
@each_sdk
@pytest.mark.parametrize("way", ["create", "stream"])
async def test_a_generator_around_the_stream_is_read_by_its_objects(sdk: str, way: str) -> None:
    """Where no response can be found, what passes is seen: the same answer, from either kind of stream."""

    def observed(client: Client) -> Iterator[Any]:
        with getattr(client, way)() as stream:
            yield from stream

    async def observed_later(client: Client) -> AsyncIterator[Any]:
        made = getattr(client, way)()
        async with await made if isinstance(made, Awaitable) else made as stream:
            async for item in stream:
                yield item

    with Loopback(answer(BODIES[sdk])) as server:
        with Client(sdk, server) as client:
            first = tap(observed(client))
            count = len(list(first))
        async with Client(sdk, server, later=True) as later:
            second = tap(observed_later(later))
            assert count == len([item async for item in second])

    for tapped in (first, second):
        ours, whole = tapped.message, WHOLE[sdk]
        assert (whole.text, whole.reasoning) == (ours.text, ours.reasoning)
        assert [(call.id, call.arguments) for call in whole.tool_calls] == [
            (call.id, call.arguments) for call in ours.tool_calls
        ]
        assert ("complete", whole.finish_reason) == (ours.ending, ours.finish_reason)
        assert whole.usage is not None
        assert ours.usage is not None
        assert whole.usage.output_tokens == ours.usage.output_tokens
        assert tapped.error is None


def test_a_generator_that_is_closed_early_is_stopped() -> None:
    """Its own `close` closes what is beneath, and the message says so."""

    def observed(client: Client) -> Iterator[Any]:
        with client.create() as stream:
            yield from stream

    with (
        Loopback([chunked_head(), *map(http_chunk, CHAT[:4]), OPEN, 2.0]) as server,
        Client("openai", server) as client,
    ):
        tapped = tap(observed(client))
        next(tapped)
        tapped.close()
        assert server.connections[0].closed_within()

    assert "stopped" == tapped.message.ending


# -- what goes wrong -------------------------------------------------------


def begun(sdk: str, *rest: Any) -> Script:
    """Return an answer that begins well."""
    return [chunked_head(), *map(http_chunk, BODIES[sdk][: FIRST[sdk]]), *rest]


@pytest.mark.anyio
@each_sdk
async def test_leaving_the_loop_closes_nothing_and_closing_does(sdk: str) -> None:
    """The connection is open after `break`, and closed within a moment of `close`; that is stopped."""
    with Loopback(begun(sdk, OPEN, 2.0)) as server:
        with Client(sdk, server) as client:
            for _ in (first := tap(client.create())):
                break
            assert "streaming" == first.message.ending
            assert server.connections[0].open_after()
            first.close()
            assert server.connections[0].closed_within()
        async with Client(sdk, server, later=True) as later:
            second: Any = tap(await later.create())
            await anext(second)
            assert server.connections[1].open_after()
            await second.close()
            assert server.connections[1].closed_within()

    assert ["stopped"] * 2 == [first.message.ending, second.message.ending]
    assert first.error is None


@pytest.mark.anyio
@each_sdk
async def test_the_end_of_with_is_stopped(sdk: str) -> None:
    """`with tap(…)` closes as `with` around the stream does, and the body's exception passes."""
    with Loopback(begun(sdk, OPEN, 2.0)) as server:
        with Client(sdk, server) as client, pytest.raises(KeyError), tap(client.create()) as first:
            next(first)
            raise KeyError
        assert server.connections[0].closed_within()
        async with Client(sdk, server, later=True) as later:
            async with tap(later.create()) as second:
                await anext(second)
            assert server.connections[1].closed_within()

    assert ["stopped"] * 2 == [first.message.ending, second.message.ending]


ERRORS = {
    "openai": sse('{"error": {"message": "Overloaded", "type": "server_error", "code": "x"}}'),
    "anthropic": b"".join(testing.script().error("Overloaded").chunks("anthropic")),
}


@pytest.mark.anyio
@each_sdk
@pytest.mark.parametrize("between", [False, True], ids=["bytes", "objects"])
async def test_an_error_of_the_providers_is_failed(sdk: str, *, between: bool) -> None:
    """The SDK's exception reaches the loop; the error beside it says what the provider said."""
    own: Any = {"openai": openai.APIError, "anthropic": anthropic.APIStatusError}[sdk]
    headers = [("request-id", "req_7")]
    body = [*BODIES[sdk][: FIRST[sdk]], ERRORS[sdk]]
    with Loopback(sized(b"".join(body), headers=headers)) as server:
        with Client(sdk, server) as client:
            stream = client.create()
            first = tap((item for item in stream) if between else stream)
            with pytest.raises(own, match="Overloaded"):
                list(first)
        async with Client(sdk, server, later=True) as later:
            stream = await later.create()
            second: Any = tap((item async for item in stream) if between else stream)
            with pytest.raises(own, match="Overloaded"):
                [item async for item in second]

    for tapped in (first, second):
        assert "failed" == tapped.message.ending
        assert isinstance(tapped.error, ProviderError)
        assert tapped.error.partial == tapped.message
        assert tapped.error.request_id == (None if between else "req_7")


@pytest.mark.anyio
@each_sdk
@pytest.mark.parametrize("between", [False, True], ids=["bytes", "objects"])
async def test_a_cut_is_truncated(sdk: str, *, between: bool) -> None:
    """The SDK's exception reaches the loop, and what had arrived is kept beside it, with the cause."""
    with Loopback(begun(sdk, 0.05, RST)) as server:
        with Client(sdk, server) as client:
            stream = client.create()
            first = tap((item for item in stream) if between else stream)
            with pytest.raises(Exception) as met:  # noqa: PT011 - the SDKs raise what they like
                list(first)
        async with Client(sdk, server, later=True) as later:
            stream = await later.create()
            second: Any = tap((item async for item in stream) if between else stream)
            with pytest.raises(type(met.value)) as met_too:
                [item async for item in second]

    for tapped, theirs in ((first, met.value), (second, met_too.value)):
        assert "truncated" == tapped.message.ending
        assert isinstance(tapped.error, StreamInterrupted)
        assert tapped.error.kind == "network"
        assert tapped.error.__cause__ in (theirs, theirs.__cause__)


@each_sdk
def test_an_answer_that_ends_too_early_is_truncated_though_the_sdk_does_not_notice(sdk: str) -> None:
    """A clean end without the answer's own end passes for an end in the SDKs; the tap knows better."""
    with Loopback(answer(BODIES[sdk][: FIRST[sdk]])) as server, Client(sdk, server) as client:
        got = list(tapped := tap(client.create()))

    assert got
    assert "truncated" == tapped.message.ending
    assert isinstance(tapped.error, StreamTruncated)


@pytest.mark.anyio
@each_sdk
async def test_a_refused_request_is_told_beside_the_sdks_exception(sdk: str) -> None:
    """Entering raises what the SDK raises, and the tap has the status."""
    own = {"openai": openai, "anthropic": anthropic}[sdk].RateLimitError
    said = json.dumps({"error": {"type": "rate_limit_error", "message": "Slow down"}}).encode()
    script = sized(said, status=429, content_type="application/json", headers=[("retry-after", "3")])
    with Loopback(script) as server:
        with Client(sdk, server) as client:
            first = tap(client.stream())
            with pytest.raises(own), first:
                pass
        async with Client(sdk, server, later=True) as later:
            second = tap(later.stream())
            with pytest.raises(own):
                await second.__aenter__()

    for tapped in (first, second):
        assert "failed" == tapped.message.ending
        assert isinstance(tapped.error, StatusError)
        assert (429, 3.0) == (tapped.error.status, tapped.error.retry_after)


@pytest.mark.anyio
@each_sdk
async def test_cancelling_the_loop_is_stopped(sdk: str) -> None:
    """The cancellation passes, the connection is closed, and what had arrived is kept."""
    with Loopback(begun(sdk, OPEN, 2.0)) as server:
        async with Client(sdk, server, later=True) as client:
            tapped: Any = tap(await client.create())
            with anyio.move_on_after(0.05) as scope:
                async for _ in tapped:
                    pass
            assert scope.cancelled_caught
            assert server.connections[0].closed_within()

    assert "stopped" == tapped.message.ending


@pytest.mark.parametrize("finish", [True, False], ids=["finish reason", "no finish reason"])
def test_the_sdk_stops_at_the_sentinel_and_that_is_complete(*, finish: bool) -> None:
    """The SDK closes at `[DONE]`, whatever the server still has to say."""
    body = [event for event in ANSWER if finish or b'"finish_reason": "' not in event]
    with (
        Loopback([chunked_head(), *map(http_chunk, body), OPEN, 2.0]) as server,
        Client("openai", server) as client,
    ):
        list(tapped := tap(client.create()))
        assert server.connections[0].closed_within()

    assert Stream(body).final() == tapped.message
    assert "complete" == tapped.message.ending
    assert tapped.error is None


def test_two_taps_see_the_same() -> None:
    """Each has the whole message, and so has a stream that reads what is tapped."""
    with Loopback(answer(CHAT)) as server, Client("openai", server) as client:
        list(outer := tap(inner := tap(client.create())))
        tapped = tap(client.create())
        message = Stream(tapped).final()

    is_whole(outer, "openai")
    is_whole(inner, "openai")
    assert WHOLE["openai"] == message == tapped.message
