"""The markups in which models write tool calls into their text: one row for each dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from tokenstream.limits import check_names

if TYPE_CHECKING:
    from collections.abc import Iterable

Body: TypeAlias = Literal["objects", "json", "parameters", "python", "notation"]
"""The notation of a call's arguments: "objects" are JSON objects that have the name, too; "json" is the JSON
of the arguments alone; "parameters" are elements, one for each argument; "python" is a Python call;
"notation" is JSON with bare keys and its own quotes."""


class Elements(NamedTuple):
    """The markup of one parameter, which encloses its name and its value."""

    opening: str
    """The text before the name."""
    name_end: str
    """The text after the name."""
    value_start: str
    """The text before the value; attributes of the parameter may stand before it."""
    value_end: str
    """The text after the value."""
    trims: bool = True
    """True if a line ending after the start of a value, or before its end, belongs to the markup."""


class Dialect(NamedTuple):
    """A markup of tool calls: an opening, calls with a head, a body and an end, and the end of all calls."""

    name: str
    openings: tuple[str, ...]
    """Texts with which calls begin; one with which `before` begins is the head of the first call."""
    body: Body
    before: str = ""
    """The text before the name of a call."""
    after: str = ""
    """The text after the name; "" if the body follows. A brace is the beginning of the body."""
    between: str = r"\s*"
    """A pattern of all that may stand between the name and `after`, or the body."""
    ends: tuple[str, ...] = ()
    """Texts of which each ends a call; none if its body is the end."""
    closes: tuple[str, ...] = ()
    """Texts of which each ends all calls that one opening has begun; none if there is no such text."""
    elements: Elements = Elements("", "", "", "")
    """The markup of a parameter."""
    namespace: str = ""
    """The text before the name of each tool that belongs to the markup."""
    named_only: bool = False
    """True if the dialect is read only if it was asked for by its name, and only for known tools."""

    @property
    def borders(self) -> tuple[str, ...]:
        """Texts that end a call, or that stand in place of its end because it is missing."""
        heads = (self.before,) if self.before else ()
        return (*self.ends, *self.closes, *self.openings, *heads)


_BAR = "\uff5c"
"""The full-width bar in DeepSeek's markup."""
_DSML = f"{_BAR}DSML{_BAR}"
_ANT = "antml:"
_FUNCTION = Elements("<parameter=", ">", "", "</parameter>")


def _functions(name: str, opening: str, *closes: str) -> Dialect:
    """Return a dialect of the elements `<function=…>` and `<parameter=…>`."""
    return Dialect(
        name, (opening,), "parameters", "<function=", ">", r"\s*", ("</function>",), closes, _FUNCTION
    )


def _invokes(
    name: str, mark: str, wrappers: Iterable[str], *, bare: bool = True, trims: bool = True
) -> Dialect:
    """Return a dialect of the elements `invoke` and `parameter`, whose names begin with a mark."""
    head = f'<{mark}invoke name="'
    return Dialect(
        name,
        (*[f"<{each}>" for each in wrappers], *[head] * bare),
        "parameters",
        head,
        ">",
        r'"\s*',
        (f"</{mark}invoke>",),
        tuple([f"</{each}>" for each in wrappers]),
        Elements(f'<{mark}parameter name="', '"', ">", f"</{mark}parameter>", trims),
    )


def _deepseek(head: str, after: str, end: str) -> Dialect:
    """Return a dialect of DeepSeek's marks, with a head behind the mark of a call, and an end of its body."""
    opening = f"<{_BAR}tool▁call▁begin{_BAR}>"
    return Dialect(
        "deepseek",
        (f"<{_BAR}tool▁calls▁begin{_BAR}>", opening),
        "json",
        before=f"{opening}{head}",
        after=after,
        ends=(f"{end}<{_BAR}tool▁call▁end{_BAR}>",),
        closes=(f"<{_BAR}tool▁calls▁end{_BAR}>",),
    )


# Sources, read on 2026-11-26: the parsers in vllm/tool_parsers of vllm-project/vllm and their tests, the
# detectors in python/sglang/srt/function_call of sgl-project/sglang, and the templates and cards of models
# that they name. docs/guides/tool-calls/in-text.md lists the models and the options of the servers.
DIALECTS: tuple[Dialect, ...] = (
    # Hermes 2 Pro's prompt, Qwen 2.5 and 3, Granite 4: `hermes_tool_parser`, `granite4_tool_parser`.
    Dialect("hermes", ("<tool_call>",), "objects", closes=("</tool_call>",)),
    # Qwen3-Coder, Qwen 3.5, Step 3.5; also without the outer tag: `qwen3coder_tool_parser`.
    _functions("qwen", "<tool_call>", "</tool_call>"),
    # The same without the outer tag; Llama 3's own functions have JSON inside.
    _functions("qwen_bare", "<function=", "</tool_call>"),
    # Seed-OSS: `seed_oss_tool_parser`.
    _functions("seed", "<seed:tool_call>", "</seed:tool_call>"),
    # GLM 4.5 to 4.7: `glm4_moe_detector`, `glm47_moe_detector` (without line breaks).
    Dialect(
        "glm",
        ("<tool_call>",),
        "parameters",
        ends=("</tool_call>",),
        elements=Elements("<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", trims=False),
    ),
    # DeepSeek V3.2 (`function_calls`) and V4 (`tool_calls`): `deepseekv32_detector`, `deepseekv4_detector`.
    _invokes("dsml", _DSML, (f"{_DSML}function_calls", f"{_DSML}tool_calls"), trims=False),
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
    # Mistral up to v7 (a list), and from v11 on (an opening for each call): `mistral_tool_parser`.
    Dialect("mistral", ("[TOOL_CALLS]",), "objects"),
    Dialect(
        "mistral",
        ("[TOOL_CALLS]",),
        "json",
        before="[TOOL_CALLS]",
        after="{",
        between=r"\s*(?:\[CALL_ID\]\s*[\w-]+\s*)?(?:\[ARGS\])?\s*",
    ),
    # Llama 3.1 to 3.3: `llama_tool_parser`; semicolons separate several calls.
    Dialect("llama", ("<|python_tag|>",), "objects"),
    # gpt-oss: `gpt_oss_detector`, the guide to harmony; the recipient stands in the channel or in the role.
    Dialect(
        "harmony",
        (
            "<|channel|>commentary to=",
            "<|channel|>analysis to=",
            "<|start|>assistant to=",
            "<|start|>assistant<|channel|>commentary to=",
            "<|start|>assistant<|channel|>analysis to=",
        ),
        "json",
        after="<|message|>",
        between=r"(?:\s|<\|channel\|>|<\|constrain\|>|commentary|analysis|json|code)*",
        ends=("<|call|>", "<|end|>"),
        namespace="functions.",
    ),
    # MiniMax M2: `minimax_m2`.
    _invokes("minimax", "", ("minimax:tool_call",), bare=False),
    # Hunyuan A13B: `hunyuan_detector`.
    Dialect("tool_calls", ("<tool_calls>",), "objects", closes=("</tool_calls>",)),
    # Claude's form, which other models imitate, and DeepSeek's without its marks: `deepseekv32_detector`.
    _invokes("anthropic", "", ("function_calls",)),
    _invokes("anthropic", _ANT, (f"{_ANT}function_calls",)),
    # Gemma 4: `gemma4_tool_parser`.
    Dialect("gemma4", ("<|tool_call>",), "notation", before="call:", after="{", ends=("<tool_call|>",)),
    # Command A: `cohere_command_tool_parser`.
    Dialect("cohere", ("<|START_ACTION|>",), "objects", closes=("<|END_ACTION|>",)),
    # LFM2: `lfm2_tool_parser`; Llama 4: `llama4_pythonic_tool_parser`.
    Dialect("lfm2", ("<|tool_call_start|>",), "python", closes=("<|tool_call_end|>",)),
    Dialect("llama4", ("<|python_start|>",), "python", closes=("<|python_end|>",)),
    # Gemma 3's fence, the bare object of Llama and others, and Llama 3.2's bare list of Python calls.
    Dialect("gemma", ("```tool_code",), "python", closes=("```",), named_only=True),
    Dialect("llama_json", ("{",), "objects", named_only=True),
    Dialect("pythonic", ("[",), "python", named_only=True),
)
BARE = frozenset({"{", "["})
"""Openings that count only at the very start of a text."""
NAMES = tuple(sorted({dialect.name for dialect in DIALECTS}))
"""The names of the dialects; several rows may have one name."""


def choose_dialects(names: Any) -> tuple[Dialect, ...]:  # noqa: ANN401 - as callers give it
    """Return the dialects that a caller asks for."""
    if names is True:
        return tuple([dialect for dialect in DIALECTS if not dialect.named_only])
    found = check_names("tool_tags", names, NAMES, others='True, "auto" or', noun="dialects")
    return tuple([dialect for dialect in DIALECTS if dialect.name in found])
