"""`Tools`: the same object checks the calls and makes a router."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from tests.schemas.tools.support import Search, book_table
from tokenstream import Router, Stream, Tools
from tokenstream.errors import MisuseError


def _answer(*calls: tuple[str, str]) -> list[dict[str, Any]]:
    told = [
        {"index": index, "id": f"call_{index}", "function": {"name": name, "arguments": text}}
        for index, (name, text) in enumerate(calls)
    ]
    return [{"choices": [{"index": 0, "delta": {"tool_calls": told}, "finish_reason": "tool_calls"}]}]


def test_the_same_object_makes_a_router() -> None:
    router = Router(Tools(book_table), concurrency=2)

    @router.tool("search", Search)
    def find(search: Search) -> str:
        """Find things."""
        return search.query

    @router.tool
    def wait(*, minutes: int) -> int:
        return minutes

    calls = _answer(
        ("book_table", '{"city": "Oslo"}'), ("search", '{"query": "x"}'), ("wait", '{"minutes": 1}')
    )
    results = Stream(calls, format="openai-chat").run(router)
    named = {tool["name"]: tool for tool in router.tools.to_anthropic()}

    assert {"call_0": "2 in Oslo", "call_1": "x", "call_2": 1} == dict(results)
    assert ["book_table", "search", "wait"] == list(named)
    assert ["Book a table in a city.", "Find things."] == [
        named[name]["description"] for name in ("book_table", "search")
    ]
    assert Tools(Search).to_anthropic()[0]["input_schema"] == named["search"]["input_schema"]
    checked = Stream(calls, format="openai-chat").validated_calls(router.tools)
    assert Search(query="x") == [call.arguments for call in checked][1]
    drafts = list(Stream(calls, format="openai-chat").tool_partials(router.tools))
    assert [Search(query="x")] == [each.final() for each in drafts if each.name == "search" and each.complete]


def test_a_router_runs_functions_alone() -> None:
    with pytest.raises(MisuseError, match="the tool 'Search' was given as a type, which has nothing to run"):
        Router(Tools(book_table, Search))
    wrong: Any = [book_table]
    with pytest.raises(MisuseError, match=r"Router\(\) takes tokenstream\.Tools"):
        Router(wrong)
    with pytest.raises(MisuseError, match="no tools were given"):
        _ = Router().tools


def test_callable_objects_and_methods_are_tools() -> None:
    class Reception:
        """Runs a desk."""

        def book(self, seats: int) -> int:
            """Book seats."""
            return seats

        def __call__(self, seats: int) -> int:
            return seats

    desk = Reception()
    tools = Tools(desk.book, desk=desk, lots=functools.partial(desk.book, seats=9))

    assert [("book", "Book seats."), ("desk", "Runs a desk."), ("lots", "Book seats.")] == [
        (tool["name"], tool.get("description")) for tool in tools.to_anthropic()
    ]
