"""The models of langchain, with its retries and fallbacks."""

from __future__ import annotations

from typing import Any

from tests.compare.conformance.reader import found
from tests.compare.conformance.recovery.peer import PythonPeer, Told
from tests.compare.conformance.recovery.providers import IDLE, TOOL, World


def _models(world: World) -> tuple[Any, Any]:
    """Return both models, the retries of their SDKs off, as the page about fallbacks recommends."""
    chat = found("langchain_openai").ChatOpenAI
    options = {"api_key": "k", "max_retries": 0, "timeout": IDLE}
    first = chat(model="m", base_url=world.first, **options)
    if world.other_format == "openai-chat":
        return first, chat(model="m", base_url=world.other, **options)
    other = found("langchain_anthropic").ChatAnthropic(
        model="claude-sonnet-4-5", base_url=world.other.removesuffix("/v1"), **options
    )
    return first, other


def _tell(world: World, told: Told) -> None:
    """Show the text of the chunks and add them up; the sum has the calls."""
    first, other = _models(world)
    if world.answer.calls:
        tools = [{"type": "function", "function": TOOL}]
        first, other = first.bind_tools(tools), other.bind_tools(tools)
    model = first.with_retry(stop_after_attempt=2).with_fallbacks([other])
    whole: Any = None
    for chunk in model.stream(world.answer.question):
        told.text += chunk.text
        whole = chunk if whole is None else whole + chunk
    for call in () if whole is None else whole.tool_calls:
        told.calls.append((call["name"], call["args"]))


PEERS = [
    PythonPeer(
        "LangChain",
        how="`ChatOpenAI(…).with_retry(stop_after_attempt=2).with_fallbacks([…]).stream()`, the chunks added "
        "up with `+`; the SDKs' own retries are off",
        packages=("langchain-core", "langchain-openai", "langchain-anthropic", "openai"),
        modules=("langchain_core", "langchain_openai", "langchain_anthropic"),
        tell=_tell,
    )
]
