"""The decision whether a call is the same one again: a pure function of its arguments and their place.

Arguments are equal if they have the same form, in whatever spelling. A call with equal arguments in another
answer, or in the text of this one, is the same call; a piece with them, after arguments that are whole,
repeats them. Other places are in the table of `judge`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from tokenstream._basics.json import canonical_json, is_one_value, says_no_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping

Likeness: TypeAlias = Literal["equal", "none", "empty", "unreadable", "other"]
"""Likeness of arguments to those of a call: "none" is no text, "empty" an empty object or null, and
"unreadable" no JSON value."""
ArgumentsPlace: TypeAlias = Literal["again", "after"]
"""Place of arguments for a call that was handed out: "again" in a call that begins again, with the same id,
index, name and type, or "after" the end of the call itself."""
CallVerdict: TypeAlias = Literal["repeated", "another", "contradicts"]

_VERDICTS: Mapping[Likeness, Mapping[ArgumentsPlace, CallVerdict]] = {
    "equal": {"again": "repeated", "after": "repeated"},
    "none": {"again": "repeated", "after": "repeated"},
    "empty": {"again": "another", "after": "repeated"},
    "unreadable": {"again": "another", "after": "repeated"},
    "other": {"again": "another", "after": "contradicts"},
}


def judge(place: ArgumentsPlace, before: str, arguments: str, *, is_json: bool = True) -> CallVerdict:
    """Return what arguments say about a call that was handed out with the arguments `before`.

    | they are   | in a call that begins again | after its end |
    |------------|-----------------------------|---------------|
    | equal      | repeated                    | repeated      |
    | none       | repeated                    | repeated      |
    | empty      | another call                | repeated      |
    | unreadable | another call                | repeated      |
    | other      | another call                | contradicts   |

    Some servers give all calls one id, so that a call that begins again with an empty object is another one.
    An end without arguments, or with arguments that were cut or joined, says nothing about them.
    """
    return _VERDICTS[compare(before, arguments, is_json=is_json)][place]


def compare(before: str, arguments: str, *, is_json: bool = True) -> Likeness:
    """Compare arguments with those of a call; `is_json` is False for a tool that takes free text."""
    text = arguments.strip()
    if text == before.strip():
        return "equal"
    if not is_json or not text:
        return "other" if text else "none"
    form = form_of(arguments)
    if form is None:
        return "unreadable"
    if form == form_of(before):
        return "equal"
    return "empty" if form == "{}" else "other"


def form_of(arguments: object) -> str | None:
    """Return arguments, a text or a value, in the form of all equal ones; None for a text that is no JSON."""
    return "{}" if isinstance(arguments, str) and says_no_arguments(arguments) else canonical_json(arguments)


def choose_arguments(arrived: str, spellings: list[str], *, is_json: bool) -> str | None:
    """Return the whole arguments of a call, whose end has them; None if the pieces contradict the end.

    Pieces that are no JSON value give way to the end (MoonshotAI/kimi-code#1455). An end that is none says
    nothing, such as the arguments of several calls (vllm-project/vllm#39586); neither does an empty object
    (earendil-works/pi#917). Of two different values, none is chosen, because gateways have mixed up the
    arguments of several calls (Soju06/codex-lb#542).
    """
    known = next((text for text in spellings if text.startswith(arrived)), None)
    is_whole = is_json and is_one_value(arrived)
    if known is not None and not is_whole:
        return known
    end = spellings[0]
    if not is_json:
        return end or arrived
    if compare(arrived, end) != "other":
        return arrived
    return end if says_no_arguments(arrived) or not is_whole else None
