"""Tool calls that a model has written into its text, because the server's parser has not found them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Container

_BAR = "\uff5c"
"""The full-width bar in DeepSeek's markup."""
_OPENINGS: dict[str, str] = {
    # The dialect of a model's markup, and how a call begins in it.
    "qwen": r"<tool_call>\s*<function=\w",
    "glm": r"<tool_call>[\w.-]+\s*<arg_key>",
    "hermes": r"<tool_call>\s*\{",
    "qwen_bare": r"<function=[\w.-]+>\s*(?:<parameter=|\{|</function>)",
    "dsml": rf"<{_BAR}DSML{_BAR}",
    "deepseek": rf"<{_BAR}tool▁calls?▁begin{_BAR}>",
    "kimi": r"<\|tool_calls?_(?:section_)?begin\|>",
    "mistral": r"\[TOOL_CALLS\](?:\s*[\[{]|\s?[\w.-]{1,64}\s?(?:\[ARGS\]|\[CALL_ID\]|\{))",
    "llama": r"<\|python_tag\|>",
    "harmony": r"<\|(?:channel\|>(?:commentary|analysis)|start\|>assistant(?:<\|channel\|>commentary)?) to=",
    "minimax": r"<minimax:tool_call>|<tool_calls>\s*\{",
    "anthropic": r"<(?:antml:)?(?:function_calls>|invoke name=)",
    "gemma": r"```tool_code\s",
}
_FENCE = "```"
_MARKS = (
    "<tool_call",
    "<function",
    "invoke name=",
    f"<{_BAR}",
    "<|",
    "[TOOL_CALLS]",
    "<minimax:",
    "```tool_code",
)
"""Text of which every opening contains one; a search for it is many times as fast as for the patterns."""
# Each opening begins with one of these characters, and the search skips all others.
_find_openings = re.compile(
    "(?=[<[`])(?:" + "|".join(f"(?P<{dialect}>{pattern})" for dialect, pattern in _OPENINGS.items()) + ")"
).finditer
_match_bare = re.compile(
    r'\s*\{\s*"(?:type"\s*:\s*"function"\s*,\s*")?name"\s*:\s*"([\w.-]+)"\s*,\s*"(?:parameters|arguments)"'
).match


def find_call_markup(text: str, offered: Container[str] | None = None) -> str | None:
    """Return the dialect of a tool call that is written in a text; None if there is none.

    Markup in a code fence, or behind a backtick, is a text about the markup. A text that is nothing but JSON
    may only be a call of one of the tools `offered`. The text is read once.

    Example:
        >>> find_call_markup('Let me see. <tool_call>{"name": "now"}'), find_call_markup("`<tool_call>{`")
        ('hermes', None)
    """
    bare = None if offered is None else _match_bare(text)
    if bare is not None and offered is not None and bare[1] in offered:
        return "llama_json"
    for mark in _MARKS:
        if mark in text:
            break
    else:
        return None
    fences, position = 0, 0
    for opening in _find_openings(text):
        start = opening.start()
        fences, position = fences + text.count(_FENCE, position, start), start
        if fences % 2 == 0 and text[max(start - 1, 0) : start] != "`":
            return opening.lastgroup
    return None


def set_dialect(call: Any, dialect: str) -> None:  # noqa: ANN401 - a `ToolCall`, which stands above
    """Note the dialect in which a call was written in a text, where the server has not seen it."""
    # Not a field: a call that is read again from its JSON is equal.
    vars(call)["_dialect"] = dialect


def dialect_of(part: object) -> str | None:
    """Return the dialect in which a call was written in a text; None for any other part."""
    dialect: str | None = getattr(part, "__dict__", {}).get("_dialect")
    return dialect
