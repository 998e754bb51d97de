"""`tap` around the streams of the real SDKs, over real sockets: loops and helpers go on, ours sees all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from tests.compare.sdks.tap.sdks import BODIES, CHAT, CLAUDE, LEAVES_GENERATORS, Client, answer, each_sdk
from tests.support.loopback import OPEN, Loopback, chunked_head, http_chunk
from tokenstream import Message, Stream, tap

pytestmark = [LEAVES_GENERATORS]

WHOLE: dict[str, Message] = {name: Stream(body).final() for name, body in BODIES.items()}


def is_whole(tapped: Any, sdk: str) -> None:
    assert tapped.message == WHOLE[sdk]
    assert tapped.error is None
    assert {} == tapped.departures.details
    assert tapped.metrics.first_text is not None


# -- whole answers ---------------------------------------------------------


@each_sdk
def test_the_loop_gets_the_sdks_own_objects(sdk: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
        assert whole.usage.output_tokens == ours.usage.output_tokens
        assert tapped.error is None


def test_a_generator_that_is_closed_early_is_stopped() -> None:
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


def test_two_taps_see_the_same() -> None:
    with Loopback(answer(CHAT)) as server, Client("openai", server) as client:
        list(outer := tap(inner := tap(client.create())))
        tapped = tap(client.create())
        message = Stream(tapped).final()

    is_whole(outer, "openai")
    is_whole(inner, "openai")
    assert WHOLE["openai"] == message == tapped.message
