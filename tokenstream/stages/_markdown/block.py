"""Snapshots of Markdown blocks, and the state from which a snapshot's text is built when it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from tokenstream.stages._markdown.definitions import find_labels
from tokenstream.stages._markdown.preview import Completion, build_preview, count_common_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenstream.stages._markdown.openings import Container

ValueT = TypeVar("ValueT")

CLOSED = "closed"
_WITHOUT_LINKS = frozenset({"code", "definitions", "fence", "math", "rule"})


class KnownDefinition(NamedTuple):
    """A link definition, its number among all definitions, and the block that contains it."""

    number: int
    block: int
    """The id of the block; -1 if the definition is in no block."""
    text: str
    """The Markdown of the definition."""


class BlockShape(NamedTuple):
    """The state of a block at the beginning of one of its lines, without the pieces of that line.

    The lists in it are shared with the open block and grow later, but the elements that they
    have now never change.
    """

    id: int
    kind: str
    info: str
    """The words after the opening fence; "" without a fence."""
    start: int
    last_text: list[Any]
    """The state of a snapshot and its text, from the last time that a text was built; empty at first."""
    completion: Completion
    lines: list[str]
    """Whole lines with their endings; only the first `size` count."""
    size: int
    settled: int
    """Number of leading characters that all later versions of the text share."""
    registry: dict[str, KnownDefinition]
    """All link definitions of the text so far, by label."""
    definition_count: int
    """Number of definitions at the time of this state."""
    leaf: str
    """The kind of the open leaf; "" if there is none, `CLOSED` for a closed block."""
    leaf_first_line: int = 0
    offsets: Sequence[int] = ()
    """The offset of the content in each line of a paragraph."""
    text_from: int = 0
    """Number of lines at the paragraph's beginning that are definitions."""
    may_define: bool = False
    """True if an unfinished definition may follow the definitions at the paragraph's beginning."""
    closing_fence: str = ""
    containers: tuple[Container, ...] = ()
    """The containers (quotes and list items) around the leaf."""
    may_begin_table: bool = False
    """True if the last line may be the first row of a table."""
    html_kind: int = 0
    """The kind of the leaf if it is HTML, 1 to 7 as in CommonMark; 0 for any other leaf."""

    @property
    def closed(self) -> bool:
        """True once the block is whole."""
        return self.leaf == CLOSED


BlockState: TypeAlias = tuple[BlockShape, list[str], int]
"""A block, the pieces of its unfinished line, and the number of these pieces that count."""


class MarkdownBlock:
    r"""A snapshot of a top-level block of a Markdown text: a paragraph, a heading, or a whole list.

    A block is returned again, with the same `id`, whenever more of it has arrived, and
    never again once it is `closed`. The properties of a snapshot never change.

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

    def __init__(
        self, state: BlockState, previous: BlockState | None, values: dict[Any, Any] | None = None
    ) -> None:
        self._state = state
        self._before = previous
        """The state of the block's previous snapshot."""
        self._values = values
        """The properties computed so far."""

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
        """Pickle the computed properties instead of the state, which is large and shared."""
        # All other properties are computed from these parts of the state, so they are computed now.
        readers: tuple[Callable[[MarkdownBlock], Any], ...] = (
            MarkdownBlock._read_source,
            MarkdownBlock._read_text,
            MarkdownBlock._read_stable,
            MarkdownBlock._read_definitions,
            MarkdownBlock._read_unresolved,
        )
        values = {read: self._value(read) for read in readers}
        shape = self._state[0]
        small_shape = shape._replace(
            last_text=[],
            completion=Completion(),
            lines=[],
            size=0,
            offsets=[],
            containers=(),
            registry={},
            definition_count=0,
        )
        return _restore_block, (small_shape, values)

    def _facts(self) -> tuple[Any, ...]:
        """Return the values that are the same in two equal snapshots."""
        return self.id, self.kind, self.info, self.closed, self.start, self.text, self.source

    @property
    def id(self) -> int:
        """The number of the block: 0, 1, 2, … in the order of the text."""
        return self._state[0].id

    @property
    def kind(self) -> str:
        """The kind of the block, as far as it is known.

        One of paragraph, heading, code (indented), fence, html, table, quote, list, rule,
        math and definitions (which render to nothing). It may change while the block is
        open: an underline turns a paragraph into a heading.
        """
        return self._state[0].kind

    @property
    def info(self) -> str:
        """The language or other words after the opening fence, or ""."""
        return self._state[0].info

    @property
    def closed(self) -> bool:
        """True once the block is whole and will not be returned again."""
        return self._state[0].closed

    @property
    def start(self) -> int:
        """The offset of the block in the text, in characters."""
        return self._state[0].start

    @property
    def source(self) -> str:
        """The original text of the block so far."""
        return self._value(MarkdownBlock._read_source)

    @property
    def text(self) -> str:
        """The text to render: `source` if the block is closed, else a preview without half-open syntax."""
        return self._value(MarkdownBlock._read_text)

    @property
    def stable(self) -> int:
        """Number of leading characters of `text` that are the same in the previous snapshot; 0 at first."""
        return self._value(MarkdownBlock._read_stable)

    @property
    def settled(self) -> int:
        """Number of leading characters of `text` that are the same in all later snapshots."""
        return self._state[0].settled

    @property
    def definitions(self) -> str:
        """Link definitions of earlier blocks that this block uses, to render before its text; "" if none."""
        return self._value(MarkdownBlock._read_definitions)

    @property
    def unresolved(self) -> tuple[str, ...]:
        """Labels in brackets without a definition so far; most of them are plain text."""
        return self._value(MarkdownBlock._read_unresolved)

    def _value(self, read: Callable[[MarkdownBlock], ValueT]) -> ValueT:
        """Return what a method reads, which is read at the first access."""
        values = self._values
        if values is None:
            values = self._values = {}
        if read not in values:
            values[read] = read(self)
        value: ValueT = values[read]
        return value

    def _read_source(self) -> str:
        """Return the Markdown of the whole lines, and the unfinished line as of the snapshot."""
        shape, pieces, size = self._state
        return shape.completion.lines.join(shape.lines, shape.size) + "".join(pieces[:size])

    def _read_text(self) -> str:
        state = self._state
        text = self.source if self.closed else _build_preview_of(state)
        # All snapshots of the block share this list: `_read_stable` compares the next text with this one.
        state[0].last_text[:] = [state, text]
        return text

    def _read_stable(self) -> int:
        previous = self._before
        if previous is None:
            return 0
        # The state whose text was computed last, and that text; empty before.
        last_text = previous[0].last_text
        is_stored = bool(last_text) and last_text[0] is previous
        return count_common_prefix(last_text[1] if is_stored else _build_preview_of(previous), self.text)

    def _read_definitions(self) -> str:
        """Return the definitions, in earlier blocks, of the labels in the text, one on each line."""
        shape = self._state[0]
        if not shape.definition_count or shape.kind in _WITHOUT_LINKS:
            return ""
        definitions = [shape.registry.get(label) for label in find_labels(self.text)]
        # The registry is shared: it may have got more definitions since this snapshot.
        return "\n".join(
            definition.text
            for definition in definitions
            if definition is not None
            and definition.number < shape.definition_count
            and definition.block != shape.id
        )

    def _read_unresolved(self) -> tuple[str, ...]:
        """Return the labels in the text that had no definition at the time of the snapshot."""
        shape = self._state[0]
        if shape.kind in _WITHOUT_LINKS:
            return ()
        # The registry is shared: a definition with a number from the count on is newer than this snapshot.
        return tuple(
            label
            for label in find_labels(self.text)
            if (definition := shape.registry.get(label)) is None
            or definition.number >= shape.definition_count
        )


def _build_preview_of(state: BlockState) -> str:
    """Return the text to render for an open block, with its unfinished line completed."""
    shape, pieces, size = state
    return build_preview(shape, shape.completion.join_line(pieces, size))


def _restore_block(shape: BlockShape, values: dict[Any, Any]) -> MarkdownBlock:
    """Return a block that was pickled; its properties have all been computed, and are in `values`."""
    # Without pieces of the unfinished line: only computing the properties would need them.
    return MarkdownBlock((shape, [], 0), previous=None, values=values)
