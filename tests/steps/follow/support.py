"""Events as frameworks give them."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from tokenstream import Steps
from tokenstream.steps import Step

CALL = {"index": 0, "id": "call_1", "name": "search", "args": '{"q": 1}'}


def event(kind: str, id: str, *parents: str, name: str = "", node: str = "", **data: Any) -> dict[str, Any]:
    metadata = {"langgraph_node": node} if node else {}
    return {
        "event": f"on_{kind}",
        "run_id": id,
        "name": name or id,
        "parent_ids": [*parents],
        "metadata": metadata,
        "data": data,
    }


def piece(content: str = "", **fields: Any) -> dict[str, Any]:
    """Return a chunk of LangChain, as it is told apart."""
    return {"type": "AIMessageChunk", "content": content, "response_metadata": {}, **fields}


def follow(events: list[Any]) -> Steps:
    """Follow some events, which pass untouched; return the run."""
    with Steps() as run:
        assert events == [*run.follow(events)]
    return run


STOP = piece(response_metadata={"finish_reason": "stop"})


def said(id: str, *parents: str, chunks: Iterable[Any], name: str = "model") -> list[dict[str, Any]]:
    return [
        event("chat_model_start", id, *parents, name=name),
        *[event("chat_model_stream", id, *parents, name=name, chunk=chunk) for chunk in chunks],
        event("chat_model_end", id, *parents, name=name, output=None),
    ]


SPOKEN = [piece("Let me "), piece("look."), piece(tool_call_chunks=[CALL]), STOP]
GRAPH = [
    event("chain_start", "root", name="LangGraph"),
    event("chain_start", "ask", "root", node="ask"),
    event("chain_start", "sequence", "root", "ask", name="RunnableSequence", node="ask"),
    *said("m1", "root", "ask", "sequence", chunks=SPOKEN),
    event("chain_end", "sequence", "root", "ask", name="RunnableSequence", node="ask"),
    event("chain_end", "ask", "root", node="ask", output={"n": 1}),
    event("chain_start", "tools", "root", node="tools", input={"tool_call": {"id": "call_1"}}),
    event("tool_start", "t1", "root", "tools", name="search", input={"q": 1}),
    event("tool_end", "t1", "root", "tools", name="search", output="found"),
    event("chain_end", "tools", "root", node="tools"),
    event("chain_end", "root", name="LangGraph"),
]  # fmt: skip


def tree(steps: tuple[Step, ...]) -> list[Any]:
    """Return steps by name and state, with those within."""
    return [(step.name, step.state, *tree(step.steps)) for step in steps]


def of_agent(name: str, **fields: Any) -> Any:
    return SimpleNamespace(current_agent_name=name, **fields)
