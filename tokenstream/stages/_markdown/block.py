"""Snapshots of blocks: what is handed out, and what it is built from when it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tokenstream.stages._markdown.definitions import labels_in
from tokenstream.stages._markdown.preview import Completion, preview_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenstream.stages._markdown.containers import Container

CLOSED = "closed"
_WITHOUT_LINKS = frozenset({"code", "definitions", "fence", "math", "rule"})


class Known(NamedTuple):
    """A link definition, by whom it was made and as which of all."""

    number: int
    block: int
    text: str


class Shape(NamedTuple):
    """A block as it stands when a line of it begins; only the pieces of that line are added to it.

    The lists grow behind it, but what they held when it was made is never changed.
    """

    id: int
    kind: str
    info: str
    start: int
    memo: list[Any]
    """The text that was built last of any snapshot of the block, and of which."""
    completion: Completion
    lines: list[str]
    """Whole lines with their endings, of which the first `size` are meant."""
    size: int
    settled: int
    """Characters that are in every later text."""
    registry: dict[str, Known]
    defined: int
    """How many definitions there were."""
    leaf: str
    """The kind of the leaf that is open; "" without one, `CLOSED` of a block that is closed."""
    first: int = 0
    """The line with which the leaf begins."""
    offsets: Sequence[int] = ()
    """Where the content of each line of a paragraph begins."""
    shown: int = 0
    """Lines of the paragraph, from its first, that are definitions."""
    pending: bool = False
    """Behind them, a definition may be open."""
    mark: str = ""
    """The fence that closes the leaf, or the kind of HTML."""
    containers: tuple[Container, ...] = ()
    """The containers around the leaf."""
    heads: bool = False
    """The last line may be the first row of a table."""

    @property
    def closed(self) -> bool:
        """The block is whole."""
        return self.leaf == CLOSED


State: TypeAlias = tuple[Shape, list[str], int]
"""A block, the pieces of the line that has not ended, and how many of them are meant."""


class MarkdownBlock:
    r"""A top-level block of a Markdown text, as it stood when it was given.

    A paragraph, a heading, a whole list, … A block is given again, with the same
    `id`, each time that more of it has come, and never again once it is `closed`.
    What is read of it later is as it was then.

    Example:
        >>> from tokenstream.stages import MarkdownBlocks
        >>> blocks = MarkdownBlocks()
        >>> [block] = blocks.feed("Some **bo")
        >>> block.id, block.kind, block.closed, block.text, block.source
        (0, 'paragraph', False, 'Some **bo**', 'Some **bo')
        >>> [block] = blocks.feed("ld** text\n\n")
        >>> block.id, block.closed, block.text
        (0, True, 'Some **bold** text\n')
    """

    __slots__ = ("_before", "_state", "_values")

    def __init__(self, state: State, before: State | None, values: dict[str, Any] | None = None) -> None:
        self._state = state
        self._before = before
        """The same when the block was given last."""
        self._values = values
        """What has been read of it."""

    def __repr__(self) -> str:
        ending = "closed" if self.closed else "open"
        return f"MarkdownBlock({self.id}, {self.kind!r}, {ending}, text={self.text!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MarkdownBlock):
            return NotImplemented
        return self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash((self.id, self.closed, self.start))

    def __reduce__(self) -> tuple[Any, ...]:
        shape = self._state[0]
        plain = shape._replace(
            memo=[],
            completion=Completion(),
            lines=[],
            size=0,
            offsets=[],
            containers=(),
            registry={},
            defined=0,
        )
        return _restored, (plain, {name: self._value(name) for name in _READERS})

    def _facts(self) -> tuple[Any, ...]:
        return self.id, self.kind, self.info, self.closed, self.start, self.text, self.source

    @property
    def id(self) -> int:
        """The number of the block: 0, 1, 2, … in the order of the text."""
        return self._state[0].id

    @property
    def kind(self) -> str:
        """What the block is, as far as that can be told.

        One of paragraph, heading, code (indented), fence, html, table, quote, list,
        rule, math and definitions (which show nothing). It may change while the
        block is open: the line below makes a paragraph a heading.
        """
        return self._state[0].kind

    @property
    def info(self) -> str:
        """The language or other words behind the opening fence, or ""."""
        return self._state[0].info

    @property
    def closed(self) -> bool:
        """The block is whole, and is not given again."""
        return self._state[0].closed

    @property
    def start(self) -> int:
        """The place of the block in the text, in characters."""
        return self._state[0].start

    @property
    def source(self) -> str:
        """The text that belongs to the block so far, as it came."""
        value: str = self._value("source")
        return value

    @property
    def text(self) -> str:
        """The text to render: `source` once closed, and before that a preview that renders whole."""
        value: str = self._value("text")
        return value

    @property
    def stable(self) -> int:
        """Leading characters of `text` that are the same as when the block was given last; 0 at first."""
        value: int = self._value("stable")
        return value

    @property
    def settled(self) -> int:
        """Leading characters of `text` that no later text of the block changes."""
        return self._state[0].settled

    @property
    def definitions(self) -> str:
        """Link definitions of earlier blocks that this one uses, to render before its text; "" for none."""
        value: str = self._value("definitions")
        return value

    @property
    def unresolved(self) -> tuple[str, ...]:
        """Labels in brackets that nothing has defined so far; most often plain text."""
        value: tuple[str, ...] = self._value("unresolved")
        return value

    def _value(self, name: str) -> Any:  # noqa: ANN401 - each property knows its type
        values = self._values
        if values is None:
            values = self._values = {}
        if name not in values:
            values[name] = _READERS[name](self, self._state, self._before)
        return values[name]


def _source(_block: MarkdownBlock, state: State, _before: State | None) -> str:
    shape, pieces, size = state
    return shape.completion.whole(shape.lines, shape.size) + "".join(pieces[:size])


def _text(block: MarkdownBlock, state: State, _before: State | None) -> str:
    shape = state[0]
    text = block.source if shape.closed else _preview(state)
    shape.memo[:] = [state, text]
    return text


def _preview(state: State) -> str:
    shape, pieces, size = state
    return preview_of(shape, shape.completion.line(pieces, size))


def _stable(block: MarkdownBlock, _state: State, before: State | None) -> int:
    if before is None:
        return 0
    memo = before[0].memo
    return _common(memo[1] if memo and memo[0] is before else _preview(before), block.text)


def _definitions(block: MarkdownBlock, state: State, _before: State | None) -> str:
    shape = state[0]
    if not shape.defined or shape.kind in _WITHOUT_LINKS:
        return ""
    found = [shape.registry.get(label) for label in labels_in(block.text)]
    return "\n".join(
        known.text
        for known in found
        if known is not None and known.number < shape.defined and known.block != shape.id
    )


def _unresolved(block: MarkdownBlock, state: State, _before: State | None) -> tuple[str, ...]:
    shape = state[0]
    if shape.kind in _WITHOUT_LINKS:
        return ()
    return tuple(
        label
        for label in labels_in(block.text)
        if (known := shape.registry.get(label)) is None or known.number >= shape.defined
    )


_READERS: dict[str, Callable[[MarkdownBlock, State, State | None], Any]] = {
    "source": _source,
    "text": _text,
    "stable": _stable,
    "definitions": _definitions,
    "unresolved": _unresolved,
}


def _common(one: str, other: str) -> int:
    """Return how many leading characters two texts share, by halves."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while low + 1 < high:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low


def _restored(shape: Shape, values: dict[str, Any]) -> MarkdownBlock:
    return MarkdownBlock((shape, [], 0), None, values)
