"""The token counts of an answer in progress, and an estimate of counts that the provider did not report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import is_dict
from tokenstream._values.parts import counts_of, make_usage, make_value
from tokenstream.message import Usage

if TYPE_CHECKING:
    from tokenstream._answer.growing import ChoiceStates
    from tokenstream._basics.loose import JsonObject

BYTES_PER_TOKEN = 4
"""The number of bytes per token, for estimates where the provider reported no count."""
_MOST_BYTES_PER_TOKEN = 16
"""More bytes per token than any language has on average: beyond it, a reported count is incomplete."""
_DEEPEST = 8
"""The deepest level on which the objects in two reports are merged."""
NO_USAGE = make_usage({})
"""The counts of an attempt that has reported none."""


class GrowingUsage:
    """Token counts so far: a later report replaces single fields, but null replaces nothing."""

    __slots__ = ("counts", "report")

    def __init__(self) -> None:
        self.counts: JsonObject = {}
        """The counts under the names of `Usage`."""
        self.report: JsonObject = {}
        """The counts as the provider reported them."""

    def add(self, usage: Usage) -> None:
        """Merge another report, except an estimated number of output tokens."""
        counts = counts_of(usage)
        if usage.basis == "estimated":
            counts.pop("output_tokens", None)
        self.counts.update(counts)
        self.report = _merge_reports(self.report, usage.provider_data)

    def merged(self, usage: Usage) -> GrowingUsage:
        merged = GrowingUsage()
        merged.counts.update(self.counts)
        merged.report.update(self.report)
        merged.add(usage)
        return merged

    def build(self, *, final: bool) -> Usage:
        """Return the counts, as "reported" if `final`, else as "partial"; without any, a false `Usage`."""
        if not self.counts and not self.report:
            return make_value(Usage, {"basis": "none", "provider_data": {}})
        basis = "reported" if final else "partial"
        return make_value(Usage, {**self.counts, "basis": basis, "provider_data": self.report.copy()})

    def with_spent(self, spent: Usage | None, *, final: bool, choices: ChoiceStates | None = None) -> Usage:
        """Return the counts including those of attempts that were given up; estimate only with `choices`."""
        usage = self.build(final=final)
        if spent is not None:
            usage = spent + (usage or Usage(basis="partial"))
        return usage if choices is None else estimate(usage, choices)


def _merge_reports(earlier: JsonObject, later: JsonObject, depth: int = 0) -> JsonObject:
    """Return a report with the fields of a later one, also within its fields; null replaces nothing."""
    merged = {**earlier}
    for key, value in later.items():
        if value.__class__ is dict and depth < _DEEPEST and is_dict(known := merged.get(key)):
            merged[key] = _merge_reports(known, value, depth + 1)
        elif value is not None or key not in merged:
            merged[key] = value
    return merged


def estimate(usage: Usage, choices: ChoiceStates) -> Usage:
    """Return a usage with an estimate in place of an unknown final count of output tokens."""
    if usage.output_tokens and usage.basis == "reported":
        return usage
    # A copy, because another thread may add a choice.
    return estimate_from(usage, sum([choice.size for choice in choices.copy().values()]))


def estimate_from(usage: Usage, size: int) -> Usage:
    """Return a usage with an estimate from the bytes of the answer, if the count of output tokens is too low.

    The count so far may be from the start of the answer (Anthropic), or be updated along the way (Gemini).
    """
    if size <= (usage.output_tokens or 0) * _MOST_BYTES_PER_TOKEN:
        return usage
    return usage.model_copy(update={"output_tokens": math.ceil(size / BYTES_PER_TOKEN), "basis": "estimated"})
