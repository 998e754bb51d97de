"""Plans for reading JSON objects. A plan is made for each *layout*: the keys of an object, in order.

A plan depends only on the keys, so all streams share the plans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from tokenstream._basics.untrusted import are_text
from tokenstream.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Layout: TypeAlias = tuple[str, ...]
PlanT = TypeVar("PlanT")

_MOST_PLANS = 256
_LONGEST_LAYOUT = 2048


class Plans(Generic[PlanT]):
    """A cache of plans; a plan says how to read all objects with the same layout: their keys, in order.

    The size of the cache is limited, because servers choose the names of keys.

    Args:
        make: Returns the plan for a layout.

    Example:
        >>> plans = Plans(len)
        >>> plans.of({"index": 0, "delta": {}})
        2
    """

    __slots__ = ("_cache", "_make_plan")

    def __init__(self, make: Callable[[Layout], PlanT]) -> None:
        self._make_plan = make
        self._cache: dict[Layout, PlanT] = {}

    def of(self, fields: Iterable[str]) -> PlanT:
        """Return the plan for an object's layout.

        Args:
            fields: The object, or its keys.

        Raises:
            ProtocolError: A key is not text, which is impossible in a payload that was decoded from JSON.
        """
        layout = tuple(fields)
        plan = self._cache.get(layout)
        if plan is None:
            if not are_text(layout):
                raise ProtocolError("an object of the payload has a key that is not text")
            plan = self._make_plan(layout)
            # A layout of very many or very long keys is not kept.
            if sum(map(len, layout)) + len(layout) <= _LONGEST_LAYOUT:
                # So many layouts are unusual or an attack. Drop all plans; plans in use are soon made again.
                if len(self._cache) >= _MOST_PLANS:
                    self._cache.clear()
                self._cache[layout] = plan
        return plan
