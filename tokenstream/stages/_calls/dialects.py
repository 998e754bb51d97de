"""The markups in which models write tool calls into their text: one row for each dialect."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from tokenstream.limits import check_names
from tokenstream.stages._text.scanning import Passage, TextSearch

if TYPE_CHECKING:
    from tokenstream._basics.request_facts import OfferedTools

BodyNotation: TypeAlias = Literal["objects", "json", "parameters", "python", "notation", "reasoning"]
"""The notation of a call's arguments: "objects" are JSON objects that have the name, too; "json" is the JSON
of the arguments alone; "parameters" are elements, one for each argument; "python" is a Python call;
"notation" is JSON with bare keys and its own quotes. In a row of "reasoning", each of `ends` ends it, also
where its opening was in the prompt, or `before` alone was, and `closes` are left out of what follows."""


class Elements(NamedTuple):
    """The markup of one parameter, which encloses its name and its value."""

    opening: str
    """The text before the name."""
    name_end: str
    """The text after the name."""
    value_start: str
    """The text before the value; attributes of the parameter may come before it."""
    value_end: str
    """The text after the value; "{}" in it is the name, and elements may then be in the value."""
    trims: bool = False
    """True if a line ending after the start of a value, or before its end, belongs to the markup."""
    mends: bool = False
    """True if a line with the next element, or with the end of the call, ends a value without an end."""


class Dialect(NamedTuple):
    """A markup of tool calls: an opening, calls with a head, a body and an end, and the end of all calls."""

    name: str
    openings: tuple[str, ...]
    """Texts with which calls begin; one with which `before` begins is the head of the first call."""
    body: BodyNotation
    before: str = ""
    """The text before the name of a call."""
    after: str = ""
    """The text after the name; "" if the body follows. A brace is the beginning of the body."""
    between: str = r"\s*"
    """A pattern of all that may be between the name and `after`, or the body."""
    ends: tuple[str, ...] = ()
    """Texts of which each ends a call; none if its body is the end."""
    closes: tuple[str, ...] = ()
    """Texts of which each ends all calls that one opening has begun; none if there is no such text."""
    elements: Elements = Elements("", "", "", "")
    namespace: str = ""
    """The text before the name of each tool that belongs to the markup."""
    named_only: bool = False
    """True if the dialect is read only if it was asked for by its name, and only for known tools."""

    @property
    def borders(self) -> tuple[str, ...]:
        """Texts that end a call, or that come where its end is missing."""
        openings = [each for each in self.openings if not each.startswith(self.closes)]
        return (*self.ends, *self.closes, *openings, *filter(None, [self.before]))


_BAR = "\uff5c"
"""The full-width bar in DeepSeek's markup."""
_BARS = (_BAR, "|", "\u2016", _BAR * 2, "||")
_DSML = [form.replace("_", bar) for bar in _BARS for form in ("_DSML_", "_DSML_ ", " _ DSML _ ")]
"""The mark in the names of DeepSeek's elements, as models write it, and as it arrives from some servers."""
_M3 = "]<]minimax[>["
"""The mark before each element of MiniMax M3."""
_SOLAR = Elements("<|tool_arg:start|>", "<|tool_arg:value|>", "", "<|tool_arg:end|>")
_CALLS, HARMONY = "[TOOL_CALLS]", "harmony"
"""The mark of Mistral's calls, and the name of gpt-oss's channels."""
_TURN, _END, _CHANNELS = "<|start|>assistant", "<|end|>", ("commentary", "analysis")


def _functions(name: str, opening: str, *closes: str, trims: bool = True) -> Dialect:
    elements = Elements("<parameter=", ">", "", "</parameter>", trims, mends=True)
    ends = ("</function>",)
    return Dialect(name, (opening,), "parameters", "<function=", ">", r"\s*", ends, closes, elements)


def _invokes(name: str, mark: str, *wrappers: str, bare: bool = True, mends: bool = True) -> Dialect:
    """Return a dialect of the elements `invoke` and `parameter`, whose names begin with a mark."""
    head = f'<{mark}invoke name="'
    openings = (*[f"<{mark}{each}>" for each in wrappers], *[head] * bare)
    ends, closes = (f"</{mark}invoke>",), tuple([f"</{mark}{each}>" for each in wrappers])
    elements = Elements(f'<{mark}parameter name="', '"', ">", f"</{mark}parameter>", mends=mends)
    return Dialect(name, openings, "parameters", head, ">", r'"\s*', ends, closes, elements)


def _arguments(name: str, suffix: str = "", after: str = "", *wrappers: str) -> Dialect:
    """Return a dialect of the elements `arg_key` and `arg_value`, whose names may end with a suffix."""
    call, key, value = f"tool_call{suffix}>", f"arg_key{suffix}>", f"arg_value{suffix}>"
    openings, closes = (tuple([f"{begin}{each}>" for each in wrappers]) for begin in ("<", "</"))
    elements = Elements(f"<{key}", f"</{key}", f"<{value}", f"</{value}")
    openings, head, ends = (*openings, f"<{call}"), f"<{call}" * bool(wrappers), (f"</{call}",)
    return Dialect(name, openings, "parameters", head, after, r"\s*", ends, closes, elements)


def _kimi_k3(head: str, *openings: str) -> Dialect:
    opening, value = '<|open|>argument key="', "<|close|>argument<|sep|>"
    elements = Elements(opening, '"', "<|sep|>", value)
    ends, closes = ("<|close|>call<|sep|>",), ("<|close|>tools<|sep|>", "<|close|>toolsmessage<|sep|>")
    openings = (*openings, head)
    return Dialect("kimi_k3", openings, "parameters", head, "<|sep|>", r'"[^<]*', ends, closes, elements)


def _deepseek(head: str, after: str, end: str) -> Dialect:
    """Return a dialect of DeepSeek's marks, with a head after the mark of a call, and an end of its body."""
    openings = (f"<{_BAR}tool▁calls▁begin{_BAR}>", f"<{_BAR}tool▁call▁begin{_BAR}>")
    ends, closes = (f"{end}<{_BAR}tool▁call▁end{_BAR}>",), (f"<{_BAR}tool▁calls▁end{_BAR}>",)
    return Dialect("deepseek", openings, "json", openings[1] + head, after, ends=ends, closes=closes)


def _notation(head: str, *openings: str) -> Dialect:
    return Dialect("gemma4", openings, "notation", head, "{", ends=("<tool_call|>", "<turn|>"))


FENCES = ("```json", "```tool_call", "```\n")
"""Openings that count only at the very start of a text, whatever follows."""
# Sources, read on 2026-11-28: vllm/tool_parsers and vllm/parser of vLLM 0.33, sglang/srt/function_call of
# SGLang 0.5.23, their tests, and the templates and cards of models that they name. Models and the options of
# servers are in docs/guides/tool-calls/in-text.md.
DIALECTS: tuple[Dialect, ...] = (
    # Hermes 2 Pro's prompt, Qwen 2.5 and 3, Granite 4: `hermes_tool_parser`, `granite4_tool_parser`.
    Dialect("hermes", ("<tool_call>",), "objects", closes=("</tool_call>",)),
    # Qwen3-Coder, Qwen 3.5, Step 3.5; also without the outer tag: `qwen3coder_tool_parser`.
    _functions("qwen", "<tool_call>", "</tool_call>"),
    # The same without the outer tag; Llama 3's own functions have JSON inside.
    _functions("qwen_bare", "<function=", "</tool_call>"),
    # Seed-OSS: `seed_oss`.
    _functions("seed", "<seed:tool_call>", "</seed:tool_call>", trims=False),
    # GLM 4.5 to 4.7: `glm4_moe_detector`, `glm47_moe_detector` (without line breaks).
    _arguments("glm"),
    # GLM 5.3 in 2026-09.
    Dialect("glm", ("<tool_call>",), "json", after=">", ends=("</tool_call>",)),
    # DeepSeek V3.2 (`function_calls`), V4 (`tool_calls`) and V4.1 (`calls`): `deepseek_v41`. Other marks were
    # seen in texts in 2026: lsdefine/GenericAgent#804, cline/cline#13348, AgentFlocks/flocks#687.
    *[_invokes("dsml", mark, "function_calls", "tool_calls", "calls", mends=False) for mark in _DSML],
    # DeepSeek V3 and R1: `deepseekv3_tool_parser`.
    _deepseek(f"function<{_BAR}tool▁sep{_BAR}>", "```json", "```"),
    # DeepSeek V3.1: `deepseekv31_tool_parser`.
    _deepseek("", f"<{_BAR}tool▁sep{_BAR}>", ""),
    # Kimi K2, whose ids are `functions.NAME:NUMBER`: `kimik2_detector`, the model's tool_call_guidance.md.
    Dialect(
        "kimi",
        ("<|tool_calls_section_begin|>", "<|tool_call_begin|>"),
        "json",
        before="<|tool_call_begin|>",
        after="<|tool_call_argument_begin|>",
        between=r"(?::\d+)?\s*",
        ends=("<|tool_call_end|>",),
        closes=("<|tool_calls_section_end|>",),
        namespace="functions.",
    ),
    # Kimi K3: `kimi_k3_tool_parser`.
    _kimi_k3('<|open|>call tool="', "<|open|>tools<|sep|>"),
    # The same over a client that loses marks: oh-my-pi#8495.
    _kimi_k3('<|open|>toolscall tool="'),
    # Mistral up to v7 (a list), and from v11 on (an opening for each call): `mistral_tool_parser`.
    Dialect("mistral", (_CALLS,), "objects"),
    Dialect("mistral", (_CALLS,), "json", _CALLS, "{", r"\s*(?:\[CALL_ID\]\s*[\w-]+\s*)?(?:\[ARGS\])?\s*"),
    # Llama 3.1 to 3.3: `llama_tool_parser`; semicolons separate several calls.
    Dialect("llama", ("<|python_tag|>",), "objects"),
    # gpt-oss: `gpt_oss_detector`, the guide to harmony; the recipient is in the channel or in the role.
    Dialect(
        HARMONY,
        (f"{_TURN} to=", *[f"{turn}<|channel|>{each} to=" for turn in ("", _TURN) for each in _CHANNELS]),
        "json",
        after="<|message|>",
        between=r"(?:\s|<\|channel\|>|<\|constrain\|>|commentary|analysis|json|code)*",
        ends=("<|call|>", _END),
        namespace="functions.",
    ),
    # MiniMax M2: `minimax_m2`; dots: `dots_tool_parser`.
    _invokes("minimax", "", "minimax:tool_call", bare=False),
    _invokes("dots", "", "dots_function_call", bare=False),
    # MiniMax M3, whose values may have elements within: `minimax_m3`.
    Dialect(
        "minimax_m3",
        (f"{_M3}<tool_call>",),
        "parameters",
        before=f'{_M3}<invoke name="',
        after=">",
        between=r'"\s*',
        ends=(f"{_M3}</invoke>",),
        closes=(f"{_M3}</tool_call>",),
        elements=Elements(f"{_M3}<", ">", "", f"{_M3}</{{}}>"),
    ),
    # Hunyuan A13B: `hunyuan_a13b_tool_parser`; Hunyuan 3, with a suffix as well: `hunyuan_detector`.
    Dialect("tool_calls", ("<tool_calls>",), "objects", closes=("</tool_calls>",)),
    _arguments("hunyuan", "", "<tool_sep>", "tool_calls"),
    _arguments("hunyuan", ":opensource", "<tool_sep:opensource>", "tool_calls:opensource"),
    # Claude's form, which other models imitate, and DeepSeek's without its marks: `deepseekv32_detector`.
    *[_invokes("anthropic", mark, "function_calls") for mark in ("", "antml:")],
    # Gemma 4: `gemma4_tool_parser`.
    *[_notation(head, "<|tool_call>") for head in ("call:", ":call:", ":")],
    # Solar Open 2.
    Dialect("solar", ("<|tool_call:start|>",), "parameters", ends=("<|tool_call:end|>",), elements=_SOLAR),
    # Command A: `cohere_command_tool_parser`.
    Dialect("cohere", ("<|START_ACTION|>",), "objects", closes=("<|END_ACTION|>",)),
    # LongCat: `longcat_tool_parser`; Inkling: `inkling_detector`.
    Dialect("longcat", ("<longcat_tool_call>",), "objects", closes=("</longcat_tool_call>",)),
    Dialect("inkling", ("<|content_invoke_tool_json|>",), "objects", closes=("<|end_message|>",)),
    # LFM2: `lfm2_tool_parser`; OLMo 3: `olmo3_tool_parser`; Llama 4: `llama4_pythonic_tool_parser`.
    Dialect("lfm2", ("<|tool_call_start|>",), "python", closes=("<|tool_call_end|>",)),
    Dialect("lfm2", ("[Calling tool:",), "json", after="(", ends=(")]",)),
    Dialect("olmo", ("<function_calls>",), "python", closes=("</function_calls>",)),
    Dialect("llama4", ("<|python_start|>",), "python", closes=("<|python_end|>",)),
    # Gemma 3's fence, the bare object of Llama and others, and Llama 3.2's bare list of Python calls.
    Dialect("gemma", ("```tool_code",), "python", closes=("```",), named_only=True),
    Dialect("llama_json", ("{", "["), "objects", named_only=True),
    Dialect("llama_json", FENCES, "objects", closes=("```",), named_only=True),
    # Phi-4-mini.
    Dialect("llama_json", ("functools[",), "objects", closes=("]",), named_only=True),
    Dialect("pythonic", ("[",), "python", named_only=True),
)


def _thought(name: str, opening: str, end: str, *closes: str) -> Dialect:
    return Dialect(name, (opening,), "reasoning", ends=(end,), closes=closes)


def tag_of(name: str, *closes: str) -> Dialect:
    """Return the row of reasoning within a tag."""
    return _thought(name, f"<{name}>", f"</{name}>", *closes)


_FORMS = [f"<|channel|>{{}}{kind}<|message|>" for kind in ("", "<|constrain|>json", " <|constrain|>json")]
"""The heads of a channel; the kind of its content may follow the name."""
_ANSWERS = ("<|end_message|>", "<|message_model|>", "<|content_text|>")
_COHERE = [f"<|{how}_{what}|>" for how in ("start", "end") for what in ("response", "text")]
_KIMI = [f"<|{how}|>{what}<|sep|>" for how in ("open", "close") for what in ("response", "message")]
_HEADS = [form.format(channel) for channel in ("final", "commentary") for form in _FORMS]
# Sources, read on 2026-11-29: the tests of vllm/reasoning of vLLM 0.33 and of sglang/srt/parser of SGLang
# 0.5.23. Hunyuan A13B and Ernie 4.5 write `<think>`, and a tag around their answer. All marks are in lower
# case, and count in any.
_THOUGHTS = (
    tag_of("think", "<answer>\n", "</answer>", "<response>\n", "</response>"),
    *map(tag_of, ("thinking", "thought", "reasoning", "mm:think", "seed:think")),
    _thought("k2_horizon", "<ifm|think>", "</ifm|think>"),
    _thought("gemma4", "<|channel>thought", "<channel|>"),
    _thought("mistral", "[think]", "[/think]"),
    _thought("apertus", "<|inner_prefix|>", "<|inner_suffix|>"),
    _thought("cohere", "<|start_thinking|>", "<|end_thinking|>", *_COHERE),
    _thought("kimi_k3", "<|open|>think<|sep|>", "<|close|>think<|sep|>", *_KIMI),
    # In these two, what ends reasoning ends the answer, too.
    _thought("inkling", "<|content_thinking|>", "".join(_ANSWERS), *_ANSWERS),
    Dialect(
        HARMONY,
        tuple([turn + form.format("analysis") for turn in ("", _TURN) for form in _FORMS]),
        "reasoning",
        ends=tuple([_END + _TURN + head for head in _HEADS]),
        closes=(*_HEADS, *[_TURN + head for head in _HEADS], _END, "<|return|>"),
    ),
)
THOUGHTS = {row.name: row for row in _THOUGHTS}
# A server that leaves out special tokens leaves these words of gpt-oss; "assistant" was in the prompt.
_HEADS_LEFT = ("assistantfinal", "assistantcommentary", "assistantcommentary to=")
UNMARKED = Dialect(
    HARMONY, ("assistantanalysis",), "reasoning", "assistant", ends=_HEADS_LEFT, closes=_HEADS_LEFT
)
"""The reasoning of gpt-oss without its marks; a text may begin with it if `is_unmarked` finds so."""
UNMARKED_CALLS = Dialect(
    HARMONY, _HEADS_LEFT[2:], "json", "", "{", r" ?(?:json|code)?\s?", namespace="functions."
)
is_unmarked = re.compile(r"analysis(?=\S)|assistant(?:final|analysis|commentary)").match
BARE = frozenset({"{", "["})
"""Openings that count only at the very start of a text."""
NAMES = tuple(sorted({dialect.name for dialect in DIALECTS}))
"""The names of the dialects; several rows may have one name."""
_SURE = tuple([dialect for dialect in DIALECTS if not dialect.named_only])
_NAMED = tuple([dialect for dialect in DIALECTS if dialect.named_only])
_NAMED_OPENINGS = tuple([opening for dialect in _NAMED for opening in dialect.openings])
_find_opening = TextSearch({opening[:4] for dialect in _SURE for opening in dialect.openings}).pattern.search
"""Finds where one of the openings may begin, in a quarter of the time of a search for whole ones."""

_LEFT = (
    (_HEADS_LEFT[2], UNMARKED_CALLS),
    # Gemma 4's without their opening.
    ('<|"|>', _notation("", "call:", "<call>")),
)
"""Rows of calls that are recognised if a mark is in the text: their openings may be words."""
DANGLING = tuple([part for dialect in _SURE for each in dialect.openings for part in (each, each[:-1])])
"""Remains of a call's markup, which servers leave in front of the same call of their API."""


def choose_dialects(names: Any) -> tuple[Dialect, ...]:  # noqa: ANN401 - as callers give it
    if names is True:
        return _SURE
    found = check_names("Tags.calls", names, NAMES, others='True, "auto" or', noun="dialects")
    return tuple([dialect for dialect in DIALECTS if dialect.name in found])


def find_call_markup(text: str, offered: OfferedTools | None) -> str | None:
    """Return the dialect of the first call that is written in a text; None if there is none.

    A dialect that needs a name counts only if the whole text is calls of the tools `offered`; in others, a
    call of any tool is one. A text without an opening is only searched for one.
    """
    may_be_all = text.lstrip().startswith(_NAMED_OPENINGS) and bool(offered)
    left = [row for mark, row in _LEFT if mark in text]
    if not (may_be_all or left) and _find_opening(text) is None:
        return None
    # Few texts have a call, and the others need not wait for what reads it.
    from tokenstream.stages._calls.calls import CallScanner
    from tokenstream.stages._calls.steps import CallBegun

    sure = (*_SURE, *left)
    for dialects in (_NAMED, sure) if may_be_all else (sure,):
        scanner = CallScanner(dialects, offered, tells=dialects is sure)
        pieces = [*scanner.feed(text), *scanner.end()]
        begun = next((each for each in pieces if isinstance(each, CallBegun)), None)
        ends = {getattr(each, "how", "text" if isinstance(each, Passage) else "closed") for each in pieces}
        if begun is not None and (ends == {"closed"} or dialects is sure):
            return begun.dialect
    # Text between an opening and its end may be a call that no row has.
    whole = text.strip()
    around = (row for row in _SURE if whole.startswith(row.openings) and whole.endswith(row.closes))
    return next((row.name for row in around), None)
