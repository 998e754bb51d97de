"""A mistake in the application's own code, which a request or a stream calls: what the error tells of it."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import nullcontext
from typing import Any

import httpx
import pytest

from tests.support.tables import in_one_test
from tokenstream import Retry, Stream, aconnect, aresilient, connect, resilient, testing
from tokenstream.errors import GuardFailed, TokenStreamError

URL = "https://api.example/v1/chat/completions"
KEY = "tenant-7-very-private"
OPTIONS: dict[str, Any] = {"json": {"model": "m"}, "headers": {"Authorization": f"Bearer {KEY}"}}
ANSWER = testing.script().text("Hello", " there").finish("stop")


def raising(error: BaseException) -> Callable[..., Any]:
    def my_function(*_: Any) -> Any:
        raise error

    return my_function


def _client(**options: Any) -> httpx.Client:
    return httpx.Client(**{"transport": testing.transport(ANSWER)} | options)


def _pieces(call: Callable[..., Any]) -> Iterator[bytes]:
    yield ANSWER.chunks("openai-chat")[0]
    call()


def _ask(**options: Any) -> object:
    with connect(URL, **OPTIONS | options) as stream:
        return stream.final()


def _guard(call: Callable[..., Any]) -> object:
    with connect(URL, client=_client(), **OPTIONS) as stream:
        return stream.guard(call).final()


async def _aask(call: Callable[..., Any]) -> object:
    async def hook(_: httpx.Request) -> None:
        call()

    client = httpx.AsyncClient(event_hooks={"request": [hook]}, transport=testing.transport(ANSWER))
    async with aconnect(URL, client=client, **OPTIONS) as stream:
        return await stream.final()


class _Signing(httpx.Auth):
    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call

    def auth_flow(self, request: httpx.Request) -> Any:
        yield self.call(request)


class _Body(httpx.SyncByteStream):
    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call

    def __iter__(self) -> Iterator[bytes]:
        return _pieces(self.call)


PLACES: dict[str, Callable[[Any], object]] = {
    "auth": lambda call: _ask(auth=_Signing(call)),
    "auth, with a retry": lambda call: _ask(auth=_Signing(call), retry=Retry(wait=0)),
    "a hook": lambda call: _ask(client=_client(event_hooks={"request": [call]})),
    "a hook of answers": lambda call: _ask(client=_client(event_hooks={"response": [call]})),
    "an async hook": lambda call: asyncio.run(_aask(call)),
    "httpx's mock": lambda call: _ask(client=_client(transport=httpx.MockTransport(call))),
    "our mock": lambda call: _ask(client=_client(transport=testing.transport(call))),
    "content": lambda call: _ask(json=None, content=_pieces(call), client=_client()),
    "a body": lambda call: _ask(
        client=_client(transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=_Body(call))))
    ),
    "a guard": _guard,
}
OF_NO_REQUEST: dict[str, Callable[[Any], object]] = {
    "open": lambda call: resilient(call, Retry(wait=0)).final(),
    "a source": lambda call: Stream(_pieces(call)).final(),
}


@pytest.mark.parametrize("place", [*(PLACES | OF_NO_REQUEST)])
def test_a_mistake_goes_out_as_it_came(place: str) -> None:
    raised = KeyError("region")
    raised.add_note("of the application")
    before = {**vars(raised)}
    with pytest.raises(GuardFailed if place == "a guard" else KeyError) as caught:
        (PLACES | OF_NO_REQUEST)[place](raising(raised))

    assert raised in (caught.value, caught.value.__cause__)
    assert (raised.args, vars(raised), raised.__cause__) == (("region",), before, None)
    assert "my_function" in "".join(traceback.format_exception(caught.value))


def _caused(*, others: int = 0, in_circle: bool = False) -> Exception:
    first = error = Exception(f"refused {KEY}")
    for _ in range(others + 1):
        cause, error = error, ValueError("no tenant")
        error.__cause__ = cause
    first.__cause__ = error if in_circle else None
    return error


class _Refused(Exception):
    def __str__(self) -> str:
        return "refused"


SECRETS: dict[str, Callable[[], Exception]] = {
    "in its message": lambda: ValueError(f"cannot sign with {KEY}"),
    "in what is no text": lambda: KeyError((1, {"key": KEY.encode()})),
    "in what its text leaves out": lambda: _Refused(KEY),
    "in its cause": _caused,
    "in a circle of causes": lambda: _caused(in_circle=True),
    "behind more causes than a stack is deep": lambda: _caused(others=2000),
    "in what the network is said to do": lambda: OSError(5, f"broken by {KEY}"),
    "in a group": lambda: ExceptionGroup("several", [OSError("other"), ValueError(f"bad {KEY}")]),
    "that only looks like one": lambda: ValueError("cannot sign with sk-proj-0123456789abcdef"),
}


@in_one_test("place", list(PLACES))
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_of_the_request_is_in_no_traceback_of_ours(place: str, secret: str) -> None:
    """A stand-in of the same name has the rest of the text, and the frames; the exception stays as it was."""
    raised = SECRETS[secret]()
    before = repr(raised), raised.__cause__
    if place != "a guard" and not isinstance(raised, OSError):
        return  # it goes out as it came
    with pytest.raises(TokenStreamError) as caught:
        PLACES[place](raising(raised))
    error = caught.value
    told = "".join(traceback.format_exception(error))

    assert KEY not in told + repr(error.__cause__) + repr(error.__context__)
    assert "sk-proj-0123456789abcdef" not in told
    assert "my_function" in told
    assert error.__cause__ is not raised
    assert type(error.__cause__).__name__ == type(raised).__name__
    assert (repr(raised), raised.__cause__) == before


@pytest.mark.parametrize("kind", [KeyboardInterrupt, asyncio.CancelledError])
@pytest.mark.parametrize("place", PLACES)
def test_what_interrupts_the_program_passes_through(place: str, kind: type[BaseException]) -> None:
    with pytest.raises(kind):
        PLACES[place](raising(kind()))


class _AsyncSigning(httpx.Auth):
    async def async_auth_flow(self, request: httpx.Request) -> Any:
        yield raising(asyncio.CancelledError())(request)


async def _async_pieces(_: object = None) -> AsyncIterator[bytes]:
    yield raising(asyncio.CancelledError())(None)


ASYNC_PLACES: dict[str, Callable[[], Any]] = {
    "auth": lambda: aconnect(URL, auth=_AsyncSigning(), **OPTIONS),
    "auth, with a retry": lambda: aconnect(URL, auth=_AsyncSigning(), retry=Retry(wait=0), **OPTIONS),
    "content": lambda: aconnect(
        URL,
        content=_async_pieces(),
        headers=OPTIONS["headers"],
        client=httpx.AsyncClient(transport=testing.transport(ANSWER)),
    ),
    "open": lambda: aresilient(raising(asyncio.CancelledError()), Retry(wait=0)),
}


@pytest.mark.parametrize("place", ASYNC_PLACES)
@pytest.mark.parametrize("is_entered", [False, True])
def test_a_cancellation_that_a_function_raises_itself_passes_through(place: str, is_entered: bool) -> None:
    """No task was cancelled. One of a source that is read is an interruption, which keeps the partial."""

    async def ask() -> None:
        stream = ASYNC_PLACES[place]()
        async with stream if is_entered else nullcontext():
            await stream.final()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ask())
