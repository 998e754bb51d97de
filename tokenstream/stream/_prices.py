"""The prices of models, from the table in the package genai-prices."""

from __future__ import annotations

import math
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.elsewhere import find_requirement
from tokenstream._basics.request_facts import RequestPair, model_in
from tokenstream._basics.untrusted import dicts_of, is_dict, text_of
from tokenstream.errors import MisuseError
from tokenstream.formats._registry import format_of_request
from tokenstream.message import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.formats._registry import FormatChoice

_ADDS_CACHED = frozenset({"anthropic", "bedrock-converse", "bedrock-invoke"})
"""Formats whose number of input tokens leaves out the cached ones."""
_OF_OTHERS = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens")
"""Counts that include those of another model, which `other_input_tokens` and its like have."""
_MANY = 1_000_000


class Tariff(NamedTuple):
    """The price of a model at a provider, which is looked up in the table when a cost is computed."""

    model: str
    url: str
    adds_cached: bool
    """True if the provider counts cached tokens apart from the input tokens."""
    other: str | None = None
    """The model that a tool of the request asks, whose tokens have a price of their own; None without one."""
    before: Usage | None = None
    """The token counts of the same request that an earlier attempt has paid for; None if there was none."""

    def find_cost(self, usage: Usage) -> float | None:
        """Return the cost of token counts beyond those of `before`; None if the table has no price."""
        cost, paid = self._find_cost(usage), self._find_cost(self.before)
        return None if cost is None or paid is None else max(cost - paid, 0.0)

    def _find_cost(self, usage: Usage | None) -> float | None:
        """Return the cost that the provider has told, or else that of the token counts."""
        if not usage:
            return 0.0
        if usage.cost is not None:
            return usage.cost
        own, other = _split(usage)
        cost = self._price(self.model, own)
        if not other or cost is None:
            return cost
        # A model that the table does not have costs as much as the one that has asked it.
        priced = self._price(self.other or self.model, other)
        return cost + ((self._price(self.model, other) or 0.0) if priced is None else priced)

    def _price(self, model: str, usage: Usage) -> float | None:
        """Return the price of a model's tokens; each cached one is counted once, at its own price."""
        read, written, sent = usage.cached_tokens or 0, usage.cache_write_tokens or 0, usage.input_tokens or 0
        if not self.adds_cached and (usage.context_tokens or 0) > sent:
            # Cohere bills less than it reads, and does not say how much of that was cached.
            read = 0
        cached = read + written
        # Counts of sound may overlap with those of the cache, of which no provider says how.
        heard = 0 if cached else usage.input_audio_tokens or 0
        total = sent + cached if self.adds_cached else max(sent, cached)
        spoken = min(usage.output_audio_tokens or 0, usage.output_tokens or 0)
        long = min(usage.cache_write_1h_tokens or 0, written)
        counts = max(total, heard), read, written, long, heard, spoken, usage.web_searches or 0
        fixed = _look_up(model, self.url, counts, 0)
        many = _look_up(model, self.url, counts, _MANY)
        if fixed is None or many is None:
            return None
        # A look-up takes a millisecond, and a bound asks after each piece: output has one price a token.
        return fixed + (many - fixed) / _MANY * ((usage.output_tokens or 0) - spoken)


def _split(usage: Usage) -> tuple[Usage, Usage]:
    """Return the token counts of the requested model, and those of the model that a tool has asked."""
    others: dict[str, Any] = {name: getattr(usage, f"other_{name}") or 0 for name in _OF_OTHERS}
    if not any(others.values()):
        return usage, Usage()
    own = {name: max((getattr(usage, name) or 0) - count, 0) for name, count in others.items()}
    return usage.model_copy(update=own), Usage(**others)


def adds_cached(asked: RequestPair | None, format: FormatChoice) -> bool:
    """Return True if the provider of a request counts cached tokens apart from the input tokens."""
    return format_of_request(asked[0] if asked else "", format) in _ADDS_CACHED


def count_tokens(usage: Usage, *, adds_cached: bool) -> int:
    """Return the number of all tokens of a usage, each of which is counted once."""
    cached = (usage.cached_tokens or 0) + (usage.cache_write_tokens or 0) if adds_cached else 0
    return (usage.input_tokens or 0) + cached + (usage.output_tokens or 0)


def find_tariff(asked: RequestPair | None, format: FormatChoice) -> Tariff | None:
    """Return the tariff for the address and the JSON of a request; None if these name no model."""
    url, payload = asked or ("", None)
    model = model_in(payload, url)
    if model is None:
        return None
    tools = dicts_of(payload.get("tools")) if is_dict(payload) else []
    other = next((name for tool in tools if (name := text_of(tool, "model"))), None)
    return Tariff(model, url, adds_cached(asked, format), other)


def require_tariff(asked: RequestPair | None, format: FormatChoice) -> None:
    """Refuse a request whose price the table does not have, and name what can hold one."""
    tariff = find_tariff(asked, format)
    if tariff is None or tariff.find_cost(Usage(input_tokens=1, output_tokens=1)) is None:
        model = "a request that names no model" if tariff is None else f"the model {tariff.model!r}"
        way = "the installed genai-prices has none for it at this address"
        if find_spec("genai_prices") is None:
            way = f'or install the prices with pip install "{find_requirement("genai-prices")[0]}"'
        raise MisuseError(
            f"most= needs the price of {model}: give it, as in Route(price=…) or Purse(most=…, price=…); "
            f"{way}"
        )


class Price:
    """The price of a route for one stream: computes costs with the caller's function.

    The function is called once for the same token counts. After it has raised an exception, it is not called
    any more, and the cost is unknown.
    """

    def __init__(self, function: Callable[[Usage], float | None] | None, *, is_given: bool = True) -> None:
        self.function = function
        """The caller's function; None if there is none, or once it has raised an exception."""
        self.is_given = is_given and function is not None
        """True if the caller has given the price, and False for one of the table."""
        self._usage: Usage | None = None
        """The token counts for which `_cost` was computed; None before the first ones."""
        self._cost: float | None = 0.0

    def of(self, usage: Usage) -> float | None:
        """Return the cost of token counts; None if it is unknown; the caller's function may raise."""
        if self.function is None or not usage:
            return None
        if usage != self._usage:
            # While the function runs, it is not stored: if it raises an exception, it is never called again.
            function, self.function = self.function, None
            cost = function(usage)
            self._cost = cost if cost is None else _check_cost(cost)
            self._usage, self.function = usage, function
        return self._cost


NO_PRICE = Price(None)
"""The price of requests for which the caller has given none."""


def price_in_table(asked_by: Any) -> Price:  # noqa: ANN401 - a `SourceOpener`, whose module comes after this one

    def find_cost(usage: Usage) -> float | None:
        tariff = find_tariff(asked_by.asked, asked_by.format)
        return None if tariff is None else tariff.find_cost(usage)

    return Price(find_cost, is_given=False)


def find_bill(
    asked_by: Any,  # noqa: ANN401 - a `SourceOpener`
    usage: Usage,
    cost: float | None,
    paid: Usage | None = None,
) -> float | Tariff | None:
    """Return what a request has cost, or its tariff, less what was paid, if the caller gives no price."""
    if not usage:
        return 0.0
    if cost is not None or asked_by.price.is_given:
        return cost
    tariff = find_tariff(asked_by.asked, asked_by.format)
    return None if tariff is None else tariff._replace(before=paid)


def _check_cost(returned: object) -> float:
    """Check what the caller's `price` function has returned, and return it; refuse all but numbers."""
    cost: Any = returned
    if isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 <= cost < math.inf:
        raise MisuseError(f"price= returns what the usage costs, as a number of 0 or more, and not {cost!r}")
    return float(cost)


@lru_cache(maxsize=256)
def _look_up(model: str, url: str, counts: tuple[int, ...], output: int) -> float | None:
    """Return the price of a request's counts from the table; None if it is not installed, or has none."""
    try:
        from genai_prices import Usage as Counts
        from genai_prices import calc_price
    except ImportError:
        return None
    total, read, written, long, heard, spoken, searches = counts
    counted = Counts(
        input_tokens=total,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=long,
        web_searches=searches,
        input_audio_tokens=heard,
        output_tokens=output + spoken,
        output_audio_tokens=spoken,
    )
    try:
        return float(calc_price(counted, model, provider_api_url=url).total_price)
    except LookupError:
        return None
