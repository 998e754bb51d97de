"""Answers with tool calls in their text, in each dialect, as models write them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from itertools import groupby, pairwise, starmap
from typing import Any, NamedTuple

from tokenstream.events import Event, PartDone, TextDelta, ToolCallDelta, ToolCallDone, ToolCallStart
from tokenstream.stages import ToolTags

BAR = "\uff5c"
DSML = f"{BAR}DSML{BAR}"
GEMMA_QUOTE = '<|"|>'
MARK = "antml" + ":"
M3 = "]<]minimax[>["
NAMES = ("look", "write_file", "db.query-all")
TYPES = {"n": "integer", "size": "number", "on": "boolean", "items": "array", "box": "object"}
_ANY = {"$ref": "#/$defs/any"}
_WITHIN = {"items": _ANY, "additionalProperties": _ANY}
SCHEMA = {
    "type": "object",
    "properties": {name: {"type": kind} | _WITHIN for name, kind in TYPES.items()},
    "$defs": {"any": _WITHIN},
}
TOOLS: list[str | dict[str, Any]] = [{"name": name, "parameters": SCHEMA} for name in NAMES]
CODE = [
    'print("</tool_call>")',
    "use <tool_call> like so: {}",
    "if a < b: x = [1, 2]\n\treturn 'é🦀'",
    "[TOOL_CALLS] and <|python_tag|>",
    'say "hi" \\ or \\n',
]
"""Texts within arguments, some of which talk about the markup."""


class Call(NamedTuple):
    """A call that a model means."""

    name: str
    arguments: dict[str, Any]


def _object(call: Call, key: str = "arguments") -> str:
    return json.dumps({"name": call.name, key: call.arguments}, ensure_ascii=False)


def _list(calls: list[Call]) -> str:
    return f"[{', '.join(_object(call) for call in calls)}]"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _functions(call: Call, between: str = "\n") -> str:
    values = "".join(
        f"<parameter={key}>{between}{_text(value)}{between}</parameter>\n"
        for key, value in call.arguments.items()
    )
    return f"<function={call.name}>\n{values}</function>"


def _invoke(call: Call, mark: str = "", *, told: bool = False) -> str:
    values = "".join(
        f'<{mark}parameter name="{key}"'
        + f' string="{str(isinstance(value, str)).lower()}"' * told
        + f">{_text(value)}</{mark}parameter>\n"
        for key, value in call.arguments.items()
    )
    return f'<{mark}invoke name="{call.name}">\n{values}</{mark}invoke>\n'


def _invokes(block: str, mark: str = "", *, told: bool = False) -> Callable[[list[Call]], str]:
    def write(calls: list[Call]) -> str:
        each = "".join(_invoke(call, mark, told=told) for call in calls)
        return f"<{mark}{block}>\n{each}</{mark}{block}>"

    return write


def _glm(call: Call, between: str = "") -> str:
    values = "".join(
        f"<arg_key>{key}</arg_key>\n<arg_value>{_text(value)}</arg_value>\n"
        for key, value in call.arguments.items()
    )
    return f"<tool_call>{call.name}{between}\n{values}</tool_call>"


def _solar(call: Call) -> str:
    values = "".join(
        f"<|tool_arg:start|>{key}<|tool_arg:value|>{_text(value)}<|tool_arg:end|>\n"
        for key, value in call.arguments.items()
    )
    return f"<|tool_call:start|>{call.name}\n{values}<|tool_call:end|>"


def _nested(name: str, value: object) -> str:
    """Return MiniMax M3's element of a value, with elements for what is in it."""
    within = value if isinstance(value, dict) else {}
    each = [("item", inner) for inner in value] if isinstance(value, list) else [*within.items()]
    text = "".join(_nested(key, inner) for key, inner in each) if each else _text(value)
    return f"{M3}<{name}>{text}{M3}</{name}>"


def _minimax_m3(calls: list[Call]) -> str:
    each = [
        f'{M3}<invoke name="{call.name}">'
        + "".join(starmap(_nested, call.arguments.items()))
        + f"{M3}</invoke>\n"
        for call in calls
    ]
    return f"{M3}<tool_call>\n{''.join(each)}{M3}</tool_call>"


def _kimi_k3(calls: list[Call]) -> str:
    kinds = TYPES | dict.fromkeys(("text", "path", "content"), "string")
    each = [
        f'<|open|>call tool="{call.name}" index="{number}"<|sep|>'
        + "".join(
            f'<|open|>argument key="{key}" type="{kinds[key]}"<|sep|>{_text(value)}<|close|>argument<|sep|>'
            for key, value in call.arguments.items()
        )
        + "<|close|>call<|sep|>"
        for number, call in enumerate(calls, 1)
    ]
    return f"<|open|>tools<|sep|>{''.join(each)}<|close|>tools<|sep|>"


def _noted(value: object) -> str:
    if isinstance(value, str):
        return f"{GEMMA_QUOTE}{value}{GEMMA_QUOTE}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_noted(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return f"[{','.join(_noted(inner) for inner in value)}]"
    return json.dumps(value)


def _python(call: Call) -> str:
    return f"{call.name}({', '.join(f'{key}={value!r}' for key, value in call.arguments.items())})"


def _each(write: Callable[[Call], str], between: str = "\n") -> Callable[[list[Call]], str]:
    return lambda calls: between.join(map(write, calls))


def _lines(calls: list[Call], key: str = "arguments", between: str = "\n") -> str:
    return between.join(_object(call, key) for call in calls)


def _deepseek(head: str, ending: str) -> Callable[[list[Call]], str]:
    def write(calls: list[Call]) -> str:
        each = [
            f"<{BAR}tool▁call▁begin{BAR}>{head.format(call.name)}{json.dumps(call.arguments)}{ending}"
            f"<{BAR}tool▁call▁end{BAR}>"
            for call in calls
        ]
        return f"<{BAR}tool▁calls▁begin{BAR}>{''.join(each)}<{BAR}tool▁calls▁end{BAR}>"

    return write


def _kimi(calls: list[Call]) -> str:
    each = [
        f"<|tool_call_begin|>functions.{call.name}:{number}<|tool_call_argument_begin|>"
        f"{json.dumps(call.arguments)}<|tool_call_end|>"
        for number, call in enumerate(calls)
    ]
    return f"<|tool_calls_section_begin|>{''.join(each)}<|tool_calls_section_end|>"


WRITERS: dict[str, tuple[str, Callable[[list[Call]], str]]] = {
    # The dialect's name, and a function that writes calls.
    "hermes": ("hermes", _each(lambda call: f"<tool_call>\n{_object(call)}\n</tool_call>")),
    "hermes, arguments first": (
        "hermes",
        _each(
            lambda call: (
                "<tool_call>" + json.dumps({"arguments": call.arguments, "name": call.name}) + "</tool_call>"
            )
        ),
    ),
    "qwen": ("qwen", _each(lambda call: f"<tool_call>\n{_functions(call)}\n</tool_call>")),
    "qwen_bare": ("qwen_bare", _each(_functions)),
    "seed": (
        "seed",
        lambda calls: f"<seed:tool_call>{_each(lambda call: _functions(call, ''))(calls)}</seed:tool_call>",
    ),
    "glm": ("glm", _each(_glm)),
    "dsml": ("dsml", _invokes("function_calls", DSML, told=True)),
    "dsml, v4.1": ("dsml", _invokes("calls", f"{DSML} ", told=True)),
    "dsml, leaked": ("dsml", _invokes("tool_calls", " \u2016 DSML \u2016 ", told=True)),
    "deepseek v3": ("deepseek", _deepseek(f"function<{BAR}tool▁sep{BAR}>{{}}\n```json\n", "\n```")),
    "deepseek v3.1": ("deepseek", _deepseek(f"{{}}<{BAR}tool▁sep{BAR}>", "")),
    "kimi": ("kimi", _kimi),
    "kimi_k3": ("kimi_k3", _kimi_k3),
    "mistral v3": ("mistral", lambda calls: f"[TOOL_CALLS] {_list(calls)}"),
    "mistral v11": (
        "mistral",
        _each(lambda call: f"[TOOL_CALLS]{call.name}[ARGS]{json.dumps(call.arguments)}", ""),
    ),
    "llama": ("llama", lambda calls: f"<|python_tag|>{_lines(calls, 'parameters', '; ')}"),
    "harmony": (
        "harmony",
        _each(
            lambda call: (
                f"<|channel|>commentary to=functions.{call.name} <|constrain|>json<|message|>"
                f"{json.dumps(call.arguments)}<|call|>"
            ),
            "<|start|>assistant",
        ),
    ),
    "minimax": ("minimax", _invokes("minimax:tool_call")),
    "minimax_m3": ("minimax_m3", _minimax_m3),
    "dots": ("dots", _invokes("dots_function_call")),
    "solar": ("solar", _each(_solar)),
    "longcat": ("longcat", lambda calls: f"<longcat_tool_call>{_lines(calls)}</longcat_tool_call>"),
    "olmo": ("olmo", lambda calls: f"<function_calls>[{_each(_python, ', ')(calls)}]</function_calls>"),
    "hunyuan": (
        "hunyuan",
        lambda calls: f"<tool_calls>\n{_each(lambda call: _glm(call, '<tool_sep>'))(calls)}\n</tool_calls>",
    ),
    "tool_calls": ("tool_calls", lambda calls: f"<tool_calls>\n{_lines(calls)}\n</tool_calls>"),
    "anthropic": ("anthropic", _invokes("function_calls")),
    "anthropic, marked": ("anthropic", _invokes("function_calls", MARK)),
    "gemma4": (
        "gemma4",
        _each(lambda call: f"<|tool_call>call:{call.name}{_noted(call.arguments)}<tool_call|>", ""),
    ),
    "cohere": ("cohere", lambda calls: f"<|START_ACTION|>{_list(calls)}<|END_ACTION|>"),
    "lfm2": ("lfm2", lambda calls: f"<|tool_call_start|>[{_each(_python, ', ')(calls)}]<|tool_call_end|>"),
    "llama4": ("llama4", lambda calls: f"<|python_start|>[{_each(_python, ', ')(calls)}]<|python_end|>"),
    "gemma": (
        "gemma",
        lambda calls: f"```tool_code\n{_each(lambda call: f'print({_python(call)})')(calls)}\n```",
    ),
    "llama_json": ("llama_json", lambda calls: _lines(calls, "parameters", "; ")),
    "pythonic": ("pythonic", lambda calls: f"[{_each(_python, ', ')(calls)}]"),
}
BARE = frozenset({"llama_json", "pythonic"})
"""Dialects that are only read if they are the whole text."""


def make_call(dice: random.Random) -> Call:
    values: dict[str, Any] = {
        "text": dice.choice(CODE),
        "n": dice.randint(-5, 5),
        "size": 1.5,
        "on": dice.random() < 0.5,
        "items": ["a", 1, {"b": dice.choice(CODE)}],
        "box": {"inner": {"deep": [1, [2, {"e": "é"}]]}, "none": None},
    }
    keys = dice.sample(sorted(values), dice.randint(0, len(values)))
    return Call(dice.choice(NAMES), {key: values[key] for key in keys})


def read(pieces: Iterable[str], *dialects: str, tools: Iterable[str | dict[str, Any]] = TOOLS) -> list[Event]:
    stage = ToolTags(*dialects, tools=tools)
    return [event for piece in pieces for event in stage.feed(piece)] + stage.end()


def joined(events: Iterable[Event]) -> list[object]:
    """Return what events tell, however the deltas were cut."""
    told: list[object] = []
    for (kind, part), run in groupby(events, lambda event: (type(event), event.part)):
        each = list(run)
        if kind is TextDelta or kind is ToolCallDelta:
            text = "".join(
                [str(getattr(event, "text", None) or getattr(event, "fragment", "")) for event in each]
            )
            told.append((kind.__name__, part, text))
        else:
            told += each
    return told


def at_every_cut(text: str, *dialects: str, every: int = 5, **options: Any) -> list[Event]:
    """Return the events of a text, which are the same however it is cut."""
    events = read([text], *dialects, **options)
    for pieces in (list(text), *[cuts(text, [place]) for place in range(1, len(text), every)]):
        assert joined(events) == joined(read(pieces, *dialects, **options))
    return events


def text_of(events: Iterable[Event]) -> str:
    return "".join([event.text for event in events if isinstance(event, TextDelta)])


def calls_of(events: Iterable[Event]) -> list[Call]:
    return [
        Call(event.call.name, event.call.arguments) for event in events if isinstance(event, ToolCallDone)
    ]


def begun_in(events: Iterable[Event]) -> list[str]:
    return [event.name for event in events if isinstance(event, ToolCallStart)]


def broken_in(events: Iterable[Event]) -> int:
    return sum(isinstance(event, PartDone) for event in events)


def cuts(text: str, places: Iterable[int]) -> list[str]:
    borders = sorted({0, len(text), *places})
    return [text[start:end] for start, end in pairwise(borders)]
