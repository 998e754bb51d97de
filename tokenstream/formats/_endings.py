"""The end of an answer: its signs, and the ending that follows from them, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from tokenstream.formats._base import Format
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.message import Ending

InputState: TypeAlias = Literal["reading", "sliced", "ending", "resting", "ended", "shut"]
"""The state of a machine's input, which says if a driver reads on.

| state   | is entered by                                                     | a driver then         |
|---------|-------------------------------------------------------------------|-----------------------|
| reading | a new connection; a chunk after which the answer simply continues | reads on              |
| sliced  | the first slices of a compressed chunk                            | looks at the clock    |
| ending  | a chunk with an error, a terminal event or the last finish reason | asks recovery         |
| resting | `Intake.rest`: recovery does not go on with another connection   | reads the rest        |
| ended   | `Intake.finish`, `Way.end_with`                                   | pulls what is left    |
| shut    | `Intake.cut`, and so a guard's stop                               | pulls the `Stopped`   |

A machine that is shut stays so. From all other states, `Resumption.renew` leads back to reading.
"""
OPEN: tuple[InputState, ...] = ("reading", "sliced", "ending")
"""The states in which more of the answer may follow."""
CLOSED: tuple[InputState, ...] = ("ended", "shut")
"""The states in which no more input is accepted."""

EndSign: TypeAlias = Literal[
    "nothing", "doubt", "early reason", "waits", "reason", "open reason", "sentinel", "terminal"
]
"""The last sign of the end of its answer that a server has sent.

| sign         | the server has sent                                                                    |
|--------------|----------------------------------------------------------------------------------------|
| nothing      | no end                                                                                 |
| doubt        | an error in an event that is not known, and no end                                     |
| early reason | the reason of every choice, one of which has no content yet                           |
| waits        | the reason of every choice, but calls wait for arguments, which may follow             |
| reason       | the reason of every choice, and no content may follow                                  |
| open reason  | the reason of every choice, but content may follow                                     |
| sentinel     | a mere sentinel, such as `[DONE]`, which only a clean end of the input confirms        |
| terminal     | a terminal event                                                                       |
"""
ANSWERED: tuple[EndSign, ...] = ("sentinel", "terminal")
"""Words that come at the very end: only the rest of the connection follows."""
_DOUBTFUL: frozenset[str] = frozenset({"error", "cancelled", "unknown"})
"""Finish reasons after which an error says more than they do."""


class Endings(NamedTuple):
    """The endings of an answer, by what comes next."""

    clean: Ending | None
    """At a clean end of the input; None if the end of the format decides."""
    broken: Ending
    """By an error of the transport, or a lost read."""
    stopped: Ending | None
    """By `stop`, `close` or the end of the block, also by a cancellation or Ctrl-C; None if each choice that
    has its reason is complete."""
    left: Ending | None
    """By the code that a tap watches, which closes its source; None if that is as good as a clean end."""
    ends_in_silence: bool
    """True if a short silence is as good as a clean end; otherwise a long one breaks the answer off."""


ENDINGS: dict[EndSign, Endings] = {
    "nothing": Endings(None, "truncated", "stopped", "stopped", ends_in_silence=False),
    "doubt": Endings("failed", "failed", "stopped", "stopped", ends_in_silence=True),
    "early reason": Endings("complete", "truncated", "stopped", "stopped", ends_in_silence=False),
    "waits": Endings("complete", "truncated", "stopped", None, ends_in_silence=True),
    "reason": Endings("complete", "complete", None, "complete", ends_in_silence=True),
    "open reason": Endings("complete", "complete", None, "complete", ends_in_silence=False),
    # Servers send it on every way out, so that only the end tells.
    "sentinel": Endings(None, "truncated", "stopped", None, ends_in_silence=True),
    "terminal": Endings("complete", "complete", "complete", "complete", ends_in_silence=True),
}


def find_end_sign(format: Format) -> EndSign:
    """Return the last sign of the end that the server has sent, in all that a format has read."""
    if format.ended:
        return "sentinel" if format.assumed and not format.finished else "terminal"
    choices, waits = format.parts.choices, False
    for choice in choices.values():  # asked after each chunk, so without a call
        if choice.finish is None:
            break
        waits = waits or choice.finish_waits
    else:
        if choices and format.finished:
            end: EndSign = "open reason" if format.may_go_on else "reason"
            return "waits" if waits else "early reason" if find_early_choices(format) else end
    return "nothing" if format.doubt is None else "doubt"


def find_early_choices(format: Format) -> list[int]:
    """Return the choices whose content follows their finish reason, or has not begun with it."""
    choices, is_field = format.parts.choices, not format.closes_parts
    return [
        index
        for index, choice in choices.items()
        if choice.early_finish is not None or (is_field and choice.is_early)
    ]


def awaits_end(format: Format, sign: EndSign) -> bool:
    """Return True while only the end of the answer is left to come, or an error may have ended it."""
    is_open = format.is_one_answer and sign not in ANSWERED and format.error is None
    return is_open and (format.doubt is not None or (ENDINGS[sign].ends_in_silence and not format.may_go_on))


def has_told_all(format: Format) -> bool:
    """Return True if the server has told that the answer is over, and why, and nothing can follow."""
    is_over = format.is_one_answer and format.parts.finished
    if not is_over or format.may_go_on or find_early_choices(format):
        return False
    return not any(
        choice.finish_waits or (choice.finish is not None and choice.finish.reason in _DOUBTFUL)
        for choice in format.parts.choices.values()
    )


def waits_for_calls(parts: Parts) -> bool:
    """Return True if a finish reason has come that is not reported yet, because calls may still go on."""
    return any(choice.finish_waits for choice in parts.choices.values())


def breaks_off_in_call(parts: Parts) -> bool:
    """Return True if an open call's arguments are the beginning of a JSON value: no call ends like that."""
    return any(call.breaks_off for choice in parts.choices.values() for call in choice.open_calls())


def confirm_finishes(parts: Parts) -> None:
    """Take the reasons that content has followed for the choices' reasons: the end mark has come."""
    for choice in parts.choices.values():
        # Words that nobody has read may be the answer: no mark ends it then.
        if choice.early_finish is not None and (choice.next_part or not choice.is_unread):
            choice.confirm_finish(choice.early_finish)


def doubt_finishes(format: Format) -> None:
    """Take back the reasons within the last call's arguments, which a server has made up at a cut.

    In a format that closes its parts, the end of the call comes from the model.
    """
    for choice in () if format.closes_parts else format.parts.choices.values():
        last = next(reversed(choice.open_calls()), None) if choice.finish_waits else None
        if last is not None and last.index + 1 == choice.next_part and last.breaks_off:
            choice.void_finish()


def cut_waiting(parts: Parts) -> None:
    """Close the calls that wait for arguments, and hand out none: their finish is not reported either."""
    for choice in parts.choices.values():
        if choice.finish_waits:
            choice.finish, choice.finish_waits = None, False
        for call in choice.open_calls():
            if call.waits:
                parts.close_call(call, whole=False)
