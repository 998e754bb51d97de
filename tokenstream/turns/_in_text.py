"""Tool calls and their results as text, in the markup that a model writes, and reads in a conversation."""

from __future__ import annotations

import json
import re
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.errors import MisuseError, NotExpressible
from tokenstream.message import Message, Part, TextPart, ToolCall
from tokenstream.turns._drop import Drop, Kind, names_of
from tokenstream.turns._turn import FUNCTIONS, explain_obstacles, is_signed, object_in, text_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_match_name = re.compile(r"[^\W\d][\w.-]{0,127}").fullmatch
_match_key = re.compile(r"[^\s<>\"](?:[^<>\"\n]{0,254}[^\s<>\"])?").fullmatch
_GAP = "\n\n"
"""The text between a text and a call, so that neither code nor a quotation goes on."""


class CallMarkup(NamedTuple):
    """The markup of a dialect in which calls can be written: templates, and what no value may have."""

    call: str
    """The template of a call: its name, its name as JSON (`quoted`), and its `arguments` or `parameters`."""
    parameter: str = ""
    """The template of a parameter, if a call has these."""
    ends: tuple[str, ...] = ()
    """Texts that the value of a parameter cannot have, because they end it."""

    def write_call(self, call: ToolCall) -> str | None:
        """Return a call's markup; None if the dialect cannot express the call."""
        arguments = object_in(call)
        if arguments is None or _match_name(call.name) is None:
            return None
        parameters: list[str] = []
        for key, value in (arguments if self.parameter else {}).items():
            parameter = self._write_parameter(key, value)
            if parameter is None:
                return None
            parameters.append(parameter)
        return self.call.format(
            name=call.name,
            quoted=json.dumps(call.name, ensure_ascii=False),
            arguments=text_arguments(call).strip(),
            parameters="".join(parameters),
        )

    def _write_parameter(self, key: str, value: object) -> str | None:
        """Return the markup of a parameter; None if its name or its value would be read as markup."""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if _match_key(key) is None or any(end in text for end in self.ends):
            return None
        return self.parameter.format(key=key, value=text)


# Sources, read on 2026-11-26: the chat templates of Qwen 3, Qwen3-Coder and GLM 4.6. Other models learn the
# results of calls in a role of their own, or in tags that servers do not pass on.
MARKUPS: dict[str, CallMarkup] = {
    "hermes": CallMarkup('<tool_call>\n{{"name": {quoted}, "arguments": {arguments}}}\n</tool_call>'),
    "qwen": CallMarkup(
        "<tool_call>\n<function={name}>\n{parameters}</function>\n</tool_call>",
        "<parameter={key}>\n{value}\n</parameter>\n",
        ends=("</parameter>", "\n<parameter=", "\n</function>"),
    ),
    "glm": CallMarkup(
        "<tool_call>{name}\n{parameters}</tool_call>",
        "<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n",
        ends=("</arg_value>",),
    ),
}


def find_markup(dialect: object) -> CallMarkup:
    if not isinstance(dialect, str) or dialect not in MARKUPS:
        raise MisuseError(
            f"calls are written as text in the dialects {', '.join(sorted(MARKUPS))}, not in {dialect!r}: "
            "leave dialect= out to send them as calls of the API, or name hermes if the template knows it"
        )
    return MARKUPS[dialect]


def write_results(results: Sequence[str]) -> str:
    """Return the markup of results, which is the same in all dialects."""
    return "\n".join([f"<tool_response>\n{value}\n</tool_response>" for value in results])


def put_calls_in_text(
    message: Message,
    dialect: str,
    drop: Drop,
    *,
    is_meant: Callable[[Part], bool] = lambda part: isinstance(part, ToolCall),
) -> tuple[Message, Drop]:
    """Return a message whose whole calls are text, and what is still to be left out of it.

    Each part keeps its index. A call that was cut off stays, and can only be left out.
    """
    markup, names = find_markup(dialect), names_of(drop)
    if "tool_call" in names:
        return message, drop
    obstacles: dict[Kind, int] = {}
    parts: list[Part] = []
    for is_call, run in groupby(message.parts, lambda part: part.complete and is_meant(part)):
        each: list[Any] = list(run)
        if is_call:
            texts = [_write(call, markup, names, obstacles) for call in each]
            follows = len(parts) + len(each) < len(message.parts)
            parts += _enclose(texts, _gap_after(parts), _GAP * follows)
        else:
            # Text is left out here if `drop` names it: from here on, the calls are text, too.
            leaves_out = "text" in names
            parts += [
                TextPart(complete=True) if part.kind == "text" and leaves_out else part for part in each
            ]
    if obstacles:
        raise NotExpressible(explain_obstacles(f"the dialect {dialect}", obstacles), kinds=obstacles)
    remaining: Any = names - {"text"}
    return message.model_copy(update={"parts": tuple(parts)}), remaining


def _write(call: ToolCall, markup: CallMarkup, names: frozenset[str], obstacles: dict[Kind, int]) -> str:
    """Return a call's markup; "" if it has none."""
    text = markup.write_call(call) if call.type in FUNCTIONS else None
    obstacle: Kind | None = None
    if text is None:
        obstacle = "invalid_tool_call" if call.type in FUNCTIONS else "custom_tool_call"
    elif is_signed(call.provider_data):
        obstacle = "signature"
    if obstacle is not None and names.isdisjoint((obstacle, "all")):
        obstacles[obstacle] = obstacles.get(obstacle, 0) + 1
    return text or ""


def _gap_after(parts: Sequence[Part]) -> str:
    """Return the text before a call that follows these parts."""
    text = next((part.text for part in reversed(parts) if isinstance(part, TextPart) and part.text), "\n")
    return "" if text.endswith("\n") else _GAP


def _enclose(texts: Sequence[str], before: str, after: str) -> list[Part]:
    """Return a part for each of the calls that follow one another, of which some may have no text."""
    written = [index for index, text in enumerate(texts) if text]
    parts: list[Part] = []
    for index, text in enumerate(texts):
        start = before if [index] == written[:1] else "\n"
        end = after if [index] == written[-1:] else ""
        parts.append(TextPart(text=f"{start}{text}{end}" if text else "", complete=True))
    return parts
