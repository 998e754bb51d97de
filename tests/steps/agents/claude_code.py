"""Lines of Claude Code, and of the programs that print lines like its own."""

from __future__ import annotations

from typing import Any

_SESSION = {"session_id": "s"}


def noted(subtype: str, **fields: Any) -> dict[str, Any]:
    return {"type": "system", "subtype": subtype, **fields, **_SESSION}


INIT = noted("init", tools=[])


def words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def calls(id: str, name: str = "Bash", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": name, "input": arguments}


def said(id: str | None, *blocks: Any, parent: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return the line of a message, or of a part of one."""
    message = {**({} if id is None else {"id": id}), "role": "assistant", "content": [*blocks], **fields}
    return {"type": "assistant", "message": message, "parent_tool_use_id": parent, **_SESSION}


def returned(id: str, content: str, *, parent: str | None = None) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": id, "content": content}
    message = {"role": "user", "content": [block]}
    return {"type": "user", "message": message, "parent_tool_use_id": parent, **_SESSION}


def ended(result: str = "", **fields: Any) -> dict[str, Any]:
    return {"type": "result", "subtype": "success", "result": result, **fields, **_SESSION}
