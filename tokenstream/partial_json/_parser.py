"""The public parser of partial JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.partial_json._growing import ARR, OBJ, STR
from tokenstream.partial_json._strict import StrictReader

if TYPE_CHECKING:
    from typing import Self

    from tokenstream.errors import InvalidJSON, LimitExceeded
    from tokenstream.partial_json._repairs import Repair

__all__ = ["PartialJSONParser", "fault_in"]

_DEFAULT_ALLOW = STR | ARR | OBJ


def _allowed(allow: object) -> int:
    if allow is None:
        return _DEFAULT_ALLOW
    if not isinstance(allow, int) or isinstance(allow, bool) or allow < 0:
        raise ValueError(f"allow takes flags of partial-json-parser's Allow, or None, not {allow!r}")
    # As a plain int: asking an enum's flags takes a hundred times as long.
    return int(allow)


def _at_least_0(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} takes a whole number of at least 0, not {value!r}")
    return value


class PartialJSONParser(StrictReader):
    """A JSON value from the pieces of its text, current after each piece.

    Each character is looked at once, whatever the pieces. `feed` tells by events
    what a piece has changed; `value` is what there is now, `snapshot()` a copy of
    it that never changes. A text that is no JSON sets `error`, and what was read
    before stays readable. docs/partial-json.md has the contract.

    Args:
        allow: What may show before it is complete, as flags of `Allow`; by default
            strings, arrays and objects.
        lenient: Whether to read what models write in place of JSON; each repair is
            in `repairs`.
        max_depth: Most objects and arrays inside each other; beyond it `error` is
            `LimitExceeded`.
        decimals: Whether a number with a fraction or an exponent becomes a
            `decimal.Decimal` of its very text, rather than a float.

    Example:
        >>> parser = PartialJSONParser()
        >>> parser.feed('{"title": "Panc')
        [ValueStart(path=(), kind='object', offset=0), \
ValueStart(path=('title',), kind='string', offset=10), StringDelta(path=('title',), text='Panc')]
        >>> parser.value
        {'title': 'Panc'}
        >>> _ = parser.feed('akes", "minutes": 20}')
        >>> parser.value, parser.complete
        ({'title': 'Pancakes', 'minutes': 20}, True)
    """

    __slots__ = ()

    def __new__(
        cls,
        *,
        allow: int | None = None,
        lenient: bool = False,
        max_depth: int = 512,
        decimals: bool = False,
    ) -> Self:
        del allow, max_depth, decimals  # `__init__` looks at them.
        reader: Any = cls
        if lenient:
            # Where it is not asked for, the lenient reading is not even imported.
            from tokenstream.partial_json._lenient import LenientParser

            if cls is PartialJSONParser:
                reader = LenientParser
            elif not issubclass(cls, LenientParser):
                raise MisuseError(
                    f"{cls.__name__} reads strict JSON: lenient=True is for PartialJSONParser itself; "
                    "hold such a parser rather than be one"
                )
        made: Self = super().__new__(reader)
        return made

    def __init__(
        self,
        *,
        allow: int | None = None,
        lenient: bool = False,
        max_depth: int = 512,
        decimals: bool = False,
    ) -> None:
        super().__init__(_allowed(allow), _at_least_0("max_depth", max_depth), decimals=decimals)

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What was read although it is no JSON; strict reading repairs nothing."""
        return ()


def fault_in(text: str, *, max_depth: int = 512) -> InvalidJSON | LimitExceeded | None:
    """Return why a whole text is no JSON that can be read; None where it is.

    Example:
        >>> fault = fault_in('{"a": 1,}')
        >>> fault.offset
        8
    """
    parser = PartialJSONParser(max_depth=max_depth)
    parser.feed(text)
    parser.end()
    return parser.error
