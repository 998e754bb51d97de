"""Names of the repairs that lenient reading makes, and the list of repairs of one document."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from tokenstream.errors import MisuseError

Lenient: TypeAlias = bool | Literal["closed"]
"""True to read text that is almost JSON; "closed" to refuse it if its end is missing."""

MOST_REPAIRS = 100_000

RepairName: TypeAlias = Literal[
    "backticks",
    "bad_escape",
    "code_fence",
    "comment",
    "doubled_brace",
    "ellipsis",
    "empty_placeholder",
    "extra_closer",
    "extra_comma",
    "inner_quote",
    "json_in_string",
    "kept_escape",
    "leading_text",
    "literal_case",
    "missing_comma",
    "missing_end",
    "missing_opener",
    "mixed_escapes",
    "not_a_number",
    "number_form",
    "odd_space",
    "other_document",
    "python_literal",
    "raw_control",
    "reasoning",
    "repeated_document",
    "semicolon",
    "single_quotes",
    "smart_quotes",
    "string_prefix",
    "tool_name",
    "trailing_comma",
    "trailing_text",
    "tuple",
    "unfinished_value",
    "unquoted_key",
    "unquoted_value",
    "wrong_closer",
]


def check_lenient(lenient: object) -> Lenient:
    if isinstance(lenient, bool):
        return lenient
    if lenient == "closed":
        return "closed"
    raise MisuseError(f'lenient= takes True, False or "closed", not {lenient!r}')


class Repair(NamedTuple):
    """A part of the text that is not JSON, but was read as if it were.

    Args:
        name: The kind of repair; docs/guides/partial-json.md lists the kinds.
        offset: Position in the text, in characters from 0.

    Example:
        >>> Repair("trailing_comma", 7)
        Repair(name='trailing_comma', offset=7)
    """

    name: RepairName
    offset: int


class RepairLog:
    """The repairs made in one document so far."""

    def __init__(self) -> None:
        self.made: list[Repair] = []
        self.has_raw_backslash = False
        """True once a string contained a backslash that was not escaped, so that the text is not JSON."""

    @property
    def is_full(self) -> bool:
        return len(self.made) > MOST_REPAIRS

    def note(self, name: RepairName, offset: int) -> None:
        self.made.append(Repair(name, offset))
