"""`Router`: how errors name the handler, and what a router cannot run."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from pydantic import BaseModel

from tests.router.support import ANSWER
from tokenstream import Stream, Tools
from tokenstream.errors import MisuseError
from tokenstream.events import TextDelta, UsageUpdate
from tokenstream.router import Router


class _Shows:
    def __call__(self, event: object) -> None:
        raise LookupError

    def show(self, event: object) -> None:
        raise LookupError


@pytest.mark.parametrize(
    ("handler", "name"),
    [
        (_Shows(), "_Shows"),
        (_Shows().show, "_Shows.show"),
        (functools.partial(functools.partial(_Shows.show, _Shows())), "_Shows.show"),
    ],
)
def test_an_error_tells_which_handler_raised_it(handler: Any, name: str) -> None:
    router = Router()
    router.on(TextDelta, UsageUpdate)(handler)
    with pytest.raises(LookupError) as caught:
        ANSWER.stream("openai-chat").run(router)

    assert [f"raised by the handler '{name}' for TextDelta or UsageUpdate"] == caught.value.__notes__


async def _later(event: object) -> None:
    raise NotImplementedError


class _Later:
    async def __call__(self, event: object) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("handler", "name"), [(_later, "_later"), (_Later(), "_Later"), (functools.partial(_later), "_later")]
)
def test_an_asynchronous_handler_is_refused_where_nothing_can_be_awaited(handler: Any, name: str) -> None:
    router = Router()
    router.on(TextDelta)(repr)
    router.on(TextDelta)(handler)
    refused = pytest.raises(MisuseError, match=rf"'{name}' for TextDelta is asynchronous, .* AsyncStream")
    with ANSWER.stream("openai-chat") as stream, refused:
        stream.run(router)


@pytest.mark.parametrize("given", [True, False])
def test_types_of_a_function_that_made_the_router_are_known_later(given: bool) -> None:
    def make() -> Router:
        class Town(BaseModel):
            name: str

        def locate(city: Town, radius: int = 1) -> str:
            return f"{radius} around {city.name}"

        router = Router(Tools(locate)) if given else Router()
        if not given:
            router.tool(locate)
        return router

    router = make()
    function = {"name": "locate", "arguments": '{"city": {"name": "Oslo"}}'}
    call = {"index": 0, "id": "call_1", "function": function}
    chunk = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}

    assert {"call_1": "1 around Oslo"} == dict(Stream([chunk], format="openai-chat").run(router))
    assert {"city", "radius"} == router.tools.to_anthropic()[0]["input_schema"]["properties"].keys()


def test_types_that_are_not_there_yet_are_looked_for_when_the_router_is_run() -> None:
    """A decorated function may be written before them."""
    router = Router()

    @router.tool
    def locate(city: Later) -> str:
        return city.name

    class Later(BaseModel):
        name: str

    assert ["name"] == router.tools.to_anthropic()[0]["input_schema"]["required"]
