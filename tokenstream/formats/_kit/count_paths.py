"""Token counts: one description, by which formats read and encoders write, and the merging of reports."""

from __future__ import annotations

from itertools import chain, combinations
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.untrusted import count_of, dicts_of, index_of, is_dict, text_of, whole_number
from tokenstream._values.parts import counts_of, make_usage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Self

    from tokenstream._basics.loose import JsonObject
    from tokenstream.message import Usage

_ADDENDS = ("input_tokens", "output_tokens")
"""The counts whose sum is `total_tokens`."""


def drop_zeros(usage: Usage, known: JsonObject, replaced: Collection[str] = ()) -> Usage:
    """Return a report without its zeros where a count was positive before; any other count replaces it.

    Some servers fill the counts that they do not know with zeros, such as in the last chunk, or with -1,
    which is read like a zero; a zero of `replaced` counts is kept. A total that was summed up with zeros gets
    the counts that they stand for. `known`, the positive counts so far, is updated. The `provider_data` stay
    as sent.
    """
    counts = counts_of(usage)
    zeros = {name for name in known if counts.get(name, 1) <= 0 < known[name]} - {*replaced}
    mended = usage
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


_APART = {
    "answer": "output_tokens",
    "thoughts": "reasoning_tokens",
    "prompt": "input_tokens",
    "tools": "tool_tokens",
}
"""The counts that are added up, by the names under which saved states have them."""
_SUMS = {"output_tokens": ("answer", "thoughts"), "input_tokens": ("prompt", "tools")}
"""Their sums; what the provider's tools have read is input, too."""


_MOST_ADDENDS = 4
"""More counts than a number is tried to be the sum of."""


_CountPlace: TypeAlias = tuple[str, list[str]]
"""The field of the object or list that has a count, "" for the report itself, and the names of the count."""


def _parse(text: str) -> list[_CountPlace]:
    parsed = [each.rpartition(".") for each in text.removesuffix("]").replace("[", ".").split()]
    return [(holder, names.split("|")) for holders, _, names in parsed for holder in holders.split("|")]


_FoundCount: TypeAlias = tuple[bool, int, int]
"""True for a count that is not above zero, the rank of its place, and the count: the least one is read."""


def _keep(found: dict[str, _FoundCount], place: tuple[str, int], value: Any) -> None:  # noqa: ANN401 - by class
    """Store the count at a place, the field of `Usage` and a rank, unless a better one was found."""
    number = value if value.__class__ is int else whole_number(index_of(value))
    if number is not None:
        field, rank = place
        count = (number <= 0, rank, number)
        found[field] = min(found.get(field, count), count)


def is_told_by(number: float, usage: Usage) -> bool:
    """Return True if a number repeats a count, or is the sum of several or the difference of two of them."""
    counts = [count for count in counts_of(usage).values() if count > 0]
    groups = chain(*[combinations(counts, size) for size in range(1, _MOST_ADDENDS)])
    return number in {*map(sum, groups), *[abs(one - other) for one, other in combinations(counts, 2)]}


class Counts:
    """The places of the token counts in the reports of one API.

    A place is a field of the report, `prompt_tokens`, or of an object in it, `details.cached_tokens`. Of
    several names, as in `cacheRead|cacheReadCount`, and places, as in `details.cached cached`, the first one
    is written, and the first that has more than zero is read. `details[AUDIO]` is the count of one modality
    in a list in Google's style, or of one lifetime in AWS's.

    Args:
        places: The place of each field of `Usage` that the API has, in the order in which it writes them.
        beside: The places of documented numbers that no field of `Usage` has; `*` is any name.
        element: The names of the count in an element of a list.
        apart: True if the output leaves out the reasoning, and the input the `tool_tokens`.

    Example:
        >>> from tokenstream import Usage
        >>> counts = Counts(output_tokens="written", reasoning_tokens="details.thought", apart=True)
        >>> counts.read({"written": 3, "details": {"thought": 4}}).output_tokens
        7
        >>> counts.write(Usage(output_tokens=7, reasoning_tokens=4))
        {'written': 3, 'details': {'thought': 4}}
    """

    __slots__ = ("_apart", "_beside", "_element", "_inside", "_known", "_places", "_texts", "usual")

    def __init__(self, *, beside: str = "", element: str = "", apart: bool = False, **places: str) -> None:
        self._element, self._apart = element.split("|"), apart
        self._texts = places
        self._places = {field: _parse(text) for field, text in places.items()}
        self._beside: dict[str, tuple[str, int]] = {}
        """The fields of `Usage`, with the ranks of places, by the names of counts in the report itself."""
        self._inside: dict[str, dict[Any, tuple[str, int]]] = {}
        """The same for each object in it, and each list, by the modalities of its elements."""
        for field, alternatives in self._places.items():
            places_of = [(holder, name) for holder, names in alternatives for name in names]
            for rank, (holder, name) in enumerate(places_of):
                fields = self._inside.setdefault(holder, {}) if holder else self._beside
                fields.setdefault(name, (field, rank))
        self._known: dict[str, set[str]] = {}
        """The names of all documented numbers, by the field whose object, or list of them, has these."""
        for holder, names in [*chain(*self._places.values()), *_parse(beside)]:
            is_list = bool(element and holder) and holder in self._inside
            self._known.setdefault(holder, set()).update(self._element if is_list else names)
        self.usual = frozenset(self._known[""])
        """The names of the numbers in the report itself."""

    @property
    def fields(self) -> frozenset[str]:
        """The fields of `Usage` that the API has."""
        return frozenset(self._places) - {"tool_tokens"}

    def without(self, *fields: str) -> Self:
        """Return the counts of the API, except some that are read but not written."""
        places = {field: text for field, text in self._texts.items() if field not in fields}
        return type(self)(element="|".join(self._element), apart=self._apart, **places)

    def read(self, report: JsonObject, remembered: dict[str, int] | None = None) -> Usage:
        """Return a report as `Usage`; counts that the server did not send are None."""
        found: dict[str, _FoundCount] = {}
        for name, value in report.items():
            if name in self._beside:
                _keep(found, self._beside[name], value)
            elif name in self._inside:
                fields = self._inside[name]
                for inner, count in value.items() if is_dict(value) else self._list_counts(value):
                    if inner in fields:
                        _keep(found, fields[inner], count)
        counts: JsonObject = {field: count for field, (_, _, count) in found.items()}
        if self._apart:
            _add_up(counts, {} if remembered is None else remembered)
        return make_usage(report, **counts)

    def find_unread(self, report: JsonObject, holder: str = "") -> Iterator[tuple[str, float]]:
        """Yield the names and values of the positive numbers in a report that no document has."""
        known = self._known.get(holder, ())
        if "*" in known:
            return
        for name, value in report.items():
            if isinstance(value, int | float):
                if value > 0 and value is not True and name not in known:
                    yield name, value
            else:
                for inner in dicts_of(value):
                    yield from self.find_unread(inner, name)

    def _list_counts(self, elements: object) -> list[tuple[str | None, int | None]]:
        """Return the modalities in a list in Google's style, or the lifetimes in AWS's, with their counts."""
        return [
            (text_of(each, "modality", "ttl"), count_of(each, *self._element)) for each in dicts_of(elements)
        ]

    def write(self, usage: Usage) -> JsonObject:
        """Return a report with the counts; a missing total is the sum of input and output."""
        counts = usage.model_dump(exclude_none=True, exclude={"basis", "provider_data"})
        if {"input_tokens", "output_tokens"} <= counts.keys():
            counts.setdefault("total_tokens", counts["input_tokens"] + counts["output_tokens"])
        if self._apart and "output_tokens" in counts:
            counts["output_tokens"] = max(0, counts["output_tokens"] - counts.get("reasoning_tokens", 0))
        report: JsonObject = {}
        for field, ((holder, names), *_) in self._places.items():
            if field not in counts:
                continue
            if self._element != [""] and holder:
                report.setdefault(holder, []).append({"modality": names[0], self._element[0]: counts[field]})
            else:
                target = report.setdefault(holder, {}) if holder else report
                target[names[0]] = counts[field]
        return report


def _add_up(counts: JsonObject, remembered: dict[str, int]) -> None:
    """Add up what a report counts apart; take what it lacks from `remembered`."""
    sent = {name: counts[field] for name, field in _APART.items() if field in counts}
    counts.pop("tool_tokens", None)
    answer, thoughts = sent.get("answer", 0), sent.get("thoughts", 0)
    if 0 < thoughts <= answer and counts.get("total_tokens") == sum(sent.values()) - thoughts:
        # Quirk (ADK 2.13 with its LiteLlm, 2026-11): the answer's count has the thoughts, as the total shows.
        sent["answer"] = answer - thoughts
    # A zero after a positive count is not a count.
    known = {name: count or remembered.get(name, 0) for name, count in sent.items()}
    remembered.update(known)
    for field, names in _SUMS.items():
        if not remembered.keys().isdisjoint(names):
            counts[field] = sum(remembered.get(name, 0) for name in names)
    if counts.get("total_tokens") and known != sent and counts["total_tokens"] == sum(sent.values()):
        # The total was summed up with such a zero, so it lacks the count that the zero stands for.
        counts["total_tokens"] = sum(remembered.values())


def _google_counts(answer: str, other: str) -> Counts:
    """Return the places of the token counts; the output leaves out thoughts, the input what tools read."""
    return Counts(
        input_tokens="promptTokenCount",
        tool_tokens="toolUsePromptTokenCount",
        output_tokens=f"{answer}TokenCount|{other}TokenCount",
        total_tokens="totalTokenCount",
        cached_tokens="cachedContentTokenCount",
        reasoning_tokens="thoughtsTokenCount",
        input_audio_tokens="promptTokensDetails[AUDIO]",
        input_image_tokens="promptTokensDetails[IMAGE]",
        output_audio_tokens=f"{answer}TokensDetails[AUDIO]",
        beside="cacheTokensDetails|toolUsePromptTokensDetails|promptTokensDetails|candidatesTokensDetails"
        "|responseTokensDetails.tokenCount|token_count",
        element="tokenCount|token_count",
        apart=True,
    )


GOOGLE_USAGE = _google_counts("candidates", "response")
LIVE_USAGE = _google_counts("response", "candidates")
"""The token counts of an answer as Gemini's API writes them, and as its sessions do."""
