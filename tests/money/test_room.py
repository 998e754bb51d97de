"""A purse with room lets an answer end, and an empty one stops it: in memory, in a file and in Redis."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.recovery.attempts import in_each_world
from tests.support.either import Each, client_in, connect_in, got, inside, run_in
from tests.support.tables import in_one_test
from tokenstream import Purse, Retry, Route, Usage, aresilient, connect, resilient, testing
from tokenstream.errors import CostExceeded, PurseUnavailable

URL = "https://chat.test/v1/chat/completions"
ASKED: dict[str, Any] = {"model": "m", "stream": True, "max_tokens": 50, "messages": []}
WORDS = ["four"] * 200


class Words(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body of 200 words or fewer, each in a chunk of its own, which notes that it was closed."""

    def __init__(self, words: int = 200, **usage: int) -> None:
        said = testing.script().text(*WORDS[:words])
        self.chunks = (said.usage(**usage) if usage else said).finish("stop").chunks("openai-chat")
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            await anyio.lowlevel.checkpoint()
            yield chunk

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.close()


def price(usage: Usage) -> float:
    return float(usage.output_tokens or 0)


def answering(world: str, body: Any, asked: list[Any] | None = None) -> Any:
    def answer(request: httpx.Request) -> httpx.Response:
        (asked if asked is not None else []).append(json.loads(request.content))
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=body)

    return client_in(world, answer)


async def read_text(world: str, purse: Purse, body: Any, route: Route | None = None) -> Any:
    """Read an answer's text; return the stream, the text, and what `final` raises then."""
    route = route or Route(URL, json=ASKED, price=price, client=answering(world, body))
    async with inside(connect_in(world)(route, retry=Retry(most=purse, wait=0))) as stream:
        text = "".join([piece async for piece in Each(stream.text)])
        try:
            await got(stream.final())
        except CostExceeded as error:
            return stream, text, error
    return stream, text, None


class TestAnAnswerThatCostsMoreThanWasTaken:
    """The output limit says 50 tokens, and the server writes 200: some do not keep to it."""

    @in_each_world
    def test_is_stopped_once_the_purse_is_empty(self, world: str, make: Callable[..., Purse]) -> None:
        """`final` says so, with what has arrived; that is paid for."""
        purse, body = make(most=120), Words()

        stream, text, error = run_in(world, read_text, world, purse, body)

        assert (error.kind, error.retryable) == ("quota", False)
        assert "the purse is empty: 120 of 120 are spent" in error.message
        assert error.partial.text == text == stream.message.text
        assert 115 < len(text) / 4 <= 122
        assert body.closed
        assert purse.spent == stream.cost
        assert 120 <= purse.spent <= 125

    @in_each_world
    def test_is_not_stopped_after_its_finish_reason(self, world: str, make: Callable[..., Purse]) -> None:
        purse, body = make(most=300), Words(input_tokens=3, output_tokens=900)

        stream, _, error = run_in(world, read_text, world, purse, body)

        assert (error, stream.message.ending, purse.spent) == (None, "complete", 900)

    def test_counts_the_tokens_of_a_purse_without_money(self, make: Callable[..., Purse]) -> None:
        purse = make(tokens=400)
        for ending in ("complete", "stopped"):
            body = Words()
            route = Route(URL, json=ASKED, client=answering("sync", body))
            stream, _, error = run_in("sync", read_text, "sync", purse, body, route)
            assert (stream.message.ending, error is None) == (ending, ending == "complete")

    @in_each_world
    def test_ends_with_an_error_if_the_place_is_gone(
        self, world: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Nobody can say that there is room; what has arrived is kept, and the connection closed."""
        folder, body = tmp_path / "there", Words()
        folder.mkdir()
        purse = Purse(most=1_000, file=folder / "purse")

        async def read() -> Any:
            route = Route(URL, json=ASKED, price=price, client=answering(world, body))
            async with inside(connect_in(world)(route, retry=Retry(most=purse, wait=0))) as stream:
                async for _ in Each(stream.text):
                    if folder.exists():
                        folder.rename(tmp_path / "gone")

        with pytest.raises(PurseUnavailable, match="file cannot be used now") as caught:
            run_in(world, read)

        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        assert caught.value.partial.text.startswith("fourfour")
        assert body.closed

    @in_each_world
    def test_of_a_function_takes_what_arrives(self, world: str) -> None:
        """Nothing is known of such a request before; the purse has its price."""
        for most, ending in ((1_000, "complete"), (100, "stopped")):
            purse = Purse(most=most, price=price)
            body = Words()
            opened = answering(world, body)

            async def read(opened: Any = opened, purse: Purse = purse) -> Any:
                ask = lambda: opened.stream("POST", URL, json=ASKED)  # noqa: E731 - as an SDK's call
                recovers: Any = resilient if world == "sync" else aresilient
                async with inside(recovers(ask, Retry(attempts=1, most=purse))) as stream:
                    async for _ in Each(stream.text):
                        pass
                return stream

            stream = run_in(world, read)
            assert stream.message.ending == ending
            assert purse.spent == stream.cost > 0


class TestWhatIsTakenForARequest:
    """An estimate of its tokens, of which media are a flat part, whatever their size."""

    PICTURE = "data:image/png;base64," + "iVBORw0KGgoAAAANSUhEUgAAB9AAAAu4CAIAAAD7" * 5_000
    PDF = "JVBERi0xLjcKJeLjz9MKNSAwIG9iago8PC9GaWx0ZXIvRmxhdGVEZWNvZGUvTGVuZ3RoIDE4" * 10_000

    @in_one_test(
        "part, true",
        [
            ({"type": "image_url", "image_url": {"url": PICTURE}}, 1_100),
            ({"type": "image_url", "image_url": {"url": "https://a.test/b.png"}}, 1_100),
            ({"type": "input_image", "image_url": PICTURE}, 1_100),
            (
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "A" * 900_000},
                },
                1_600,
            ),
            (
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                },
                60_000,
            ),
            ({"type": "document", "source": {"type": "url", "url": "https://a.test/b.pdf"}}, 60_000),
            (
                {
                    "type": "file",
                    "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64," + PDF},
                },
                60_000,
            ),
            ({"inlineData": {"mimeType": "image/jpeg", "data": PDF}}, 1_000),
            ({"file_data": {"mime_type": "application/pdf", "file_uri": "https://a.test/b"}}, 60_000),
            ({"image": {"format": "png", "source": {"bytes": PDF}}}, 1_600),
            (
                {"document": {"format": "pdf", "name": "a", "source": {"s3Location": {"uri": "s3://a"}}}},
                60_000,
            ),
            ({"type": "input_audio", "input_audio": {"format": "wav", "data": PDF}}, 1_000),
            ({"role": "user", "images": [PDF]}, 1_000),
            (
                {
                    "type": "tool_result",
                    "content": [{"type": "image", "source": {"type": "base64", "data": PDF}}],
                },
                1_600,
            ),
            ({"type": "a_new_kind", "content": PICTURE}, 1_100),
        ],
        ids=str,
    )
    def test_is_within_a_factor_of_ten_for_a_medium(self, part: dict[str, Any], true: int) -> None:
        assert true / 10 < self.taken_for([part]) - self.taken_for([]) < true * 10

    @in_one_test(
        "part",
        [
            {"type": "text", "text": "x" * 60_000},
            {"type": "text", "text": "no space, no end. " * 3_000},
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "a b " * 15_000},
            },
            {
                "type": "function",
                "parameters": {"properties": {"image": {"type": "string"}}, "a": "b c" * 20_000},
            },
        ],
        ids=str,
    )
    def test_is_a_token_for_two_bytes_of_a_text(self, part: dict[str, Any]) -> None:
        assert self.taken_for([part]) - self.taken_for([]) == pytest.approx(
            len(json.dumps(part)) / 2, rel=0.01
        )

    def test_has_the_output_limit_for_each_choice(self) -> None:
        assert self.taken_for([], n=3) - self.taken_for([]) == pytest.approx(100, abs=4)

    @staticmethod
    def taken_for(content: list[Any], **more: Any) -> int:
        """Return the tokens that a purse has given while the request is answered."""
        purse, seen = Purse(tokens=10**9), list[int]()

        def answer(_: httpx.Request) -> httpx.Response:
            seen.append(purse.tokens_spent)
            return httpx.Response(400, json={"error": {"message": "no"}})

        payload = {**ASKED, "messages": [{"role": "user", "content": content}], **more}
        client = httpx.Client(transport=httpx.MockTransport(answer))
        with (
            pytest.raises(Exception, match="400"),
            connect(URL, json=payload, client=client, retry=Retry(most=purse)),
        ):
            pass
        return seen[0]


class TestThePrice:
    """`Purse(price=…)` is for requests without a `Route`, such as of a deployment of one's own."""

    def test_is_that_of_requests_without_one_of_their_own(self) -> None:
        purse = Purse(most=1_000, price=price)
        client = answering("sync", Words(input_tokens=3, output_tokens=250))
        with connect(URL, json=ASKED, client=client, retry=Retry(most=purse)) as stream:
            stream.final()

        assert [report.cost for report in stream.attempts] == [250]
        assert purse.spent == 250

    def test_comes_after_that_of_a_route(self) -> None:
        purse = Purse(most=1_000, price=lambda _: 999.0)
        run_in("sync", read_text, "sync", purse, Words(input_tokens=3, output_tokens=7))

        assert purse.spent == 7


def test_print_says_what_is_spent() -> None:
    purse = Purse(most=200, tokens=5_000)
    run_in("sync", read_text, "sync", purse, Words(output_tokens=7))

    assert str(purse).startswith("7 and ")
    assert str(purse).endswith("of 200 and 5,000 tokens are spent")
