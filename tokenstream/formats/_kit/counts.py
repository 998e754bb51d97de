"""Merge the token counts of one answer: a zero after a positive count is not a count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from tokenstream.message import Usage

_NO_COUNTS = frozenset({"source", "provider_data"})
"""The fields of a `Usage` that are not counts."""
_ADDENDS = ("input_tokens", "output_tokens")
"""The counts whose sum is `total_tokens`."""


def drop_zeros(usage: Usage, known: dict[str, Any], replaced: Collection[str] = ()) -> Usage:
    """Return a report without its zeros where a count was positive before; any other count replaces it.

    Some servers fill the counts that they do not know with zeros, such as in the last chunk, or with -1,
    which is read like a zero. A total that was summed up with zeros gets the counts that they stand for.
    The `provider_data` stay as sent.

    Args:
        usage: The report.
        known: The positive counts before it, by the names of `Usage`; updated from the report.
        replaced: Names of the counts whose zero the report proves.

    Example:
        >>> from tokenstream.message import Usage
        >>> known = {"input_tokens": 12}
        >>> mended = drop_zeros(Usage(input_tokens=0, output_tokens=3, total_tokens=3), known)
        >>> mended.input_tokens, mended.output_tokens, mended.total_tokens
        (None, 3, 15)
    """
    counts = {
        name: value for name, value in vars(usage).items() if value is not None and name not in _NO_COUNTS
    }
    zeros, mended = set[str](), usage
    if known:
        zeros = {name for name, value in counts.items() if value <= 0 < known.get(name, 0)} - {*replaced}
    if zeros:
        update = dict.fromkeys(zeros)
        total = counts.get("total_tokens")
        if total is not None and 0 < total == sum(counts.get(name, 0) for name in _ADDENDS):
            update["total_tokens"] = total + sum(known[name] for name in zeros.intersection(_ADDENDS))
        mended = usage.model_copy(update=update)
    known.update({name: value for name, value in counts.items() if name not in zeros} if zeros else counts)
    if mended.total_tokens is not None:
        known["total_tokens"] = mended.total_tokens
    return mended
