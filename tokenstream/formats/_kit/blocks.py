"""Parts that have a key on the wire, under which pieces add to them; shared by several formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from tokenstream._basics.json import says_no_arguments
from tokenstream._basics.untrusted import index_of, whole_number
from tokenstream.formats._kit.open import OpenCall
from tokenstream.formats._kit.parts import Parts
from tokenstream.formats._kit.repeated import add_late

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.formats._kit.parts import TextKind
    from tokenstream.message import FinishReason


class _HasPart(Protocol):
    """The one thing that `KeyedParts` needs to know of a format's block: the part that it became.

    An `OpenPart` is itself such a block.
    """

    @property
    def part(self) -> OpenPart | None:
        """The part that the block became; None until its kind is known."""


KeyT = TypeVar("KeyT", bound="Hashable")
BlockT = TypeVar("BlockT", bound=_HasPart)


class KeyedParts(Parts, Generic[KeyT, BlockT]):
    """Parts that arrive as content blocks: each piece names its block by a key, such as an index.

    The server chooses the key of a block, and may use it again. The index of a part is
    a number of our own, which counts up without gaps in order of arrival.
    """

    __slots__ = ("_closed", "_last_written", "_open", "_waiting", "is_restarted", "newest")

    def _set_up(self) -> None:
        super()._set_up()
        self._last_written: OpenPart | None = None
        """The part written to last, if the format calls `record_written_part`."""
        self.newest = -1
        """Index of the block that was opened last."""
        self.is_restarted = False
        """True once the start of the answer has come again."""
        self._open: dict[KeyT, BlockT] = {}
        self._closed: dict[KeyT, str] = {}
        """The closed blocks, by key: the id of the call that a block was, or else ""."""
        self._waiting: list[OpenCall] = []
        """Calls whose block was closed, but which the token limit may have cut off."""

    def _report_unsent(self, block: BlockT) -> None:
        """Report those data of a block that no event has reported yet; called before the block is closed."""

    def _note_taken(self, key: KeyT, *, is_open: bool) -> None:
        """Count a new block under the key of an earlier one as a departure from the documentation."""
        self.note("part_unclosed" if is_open else "part_index_reused")

    def _free(self, key: KeyT) -> None:
        """Prepare for a new block: hand out the calls that waited for it, and close a block with its key."""
        # Calls that the token limit might have cut off are whole, because the answer goes on.
        self._hand_out_waiting()
        open_block = self._open.pop(key, None)
        if open_block is not None and not (open_block.part is not None and open_block.part.waits):
            self._note_taken(key, is_open=True)
            self._close_replaced(open_block)
        elif open_block is not None or key in self._closed:
            self._note_taken(key, is_open=False)
        self._closed.pop(key, None)

    def find_index(
        self, index: object, *, new: bool = False, ends: bool = False, arguments: bool = False
    ) -> int:
        """Return the index of a payload's block; without one, a departure, that of the newest block.

        Args:
            new: Whether the payload begins a block.
            arguments: Whether it has a piece of a call's arguments.
            ends: Whether the payload ends a block: without indexes, blocks end in the order of their starts.
        """
        number = index if type(index) is int else whole_number(index_of(index))
        if number is not None:
            return number
        self.note("part_index_missing")
        call = self.find_call_in_turn(0) if arguments else None
        if call is not None and type(call.number) is int:
            opened = {key: block.part for key, block in self._unended() if block.part is not None}
            hosted = {key: part for key, part in opened.items() if part.kind == "server_tool_call"}
            is_own = self.newest not in hosted
            # Both kinds of calls have pieces of this type.
            if call.is_empty and not (is_own and all(part.is_written for part in hosted.values())):
                call.note_doubt()
            if is_own:
                return call.number
        if ends:
            return next((key for key, _ in self._unended() if isinstance(key, int)), max(self.newest, 0))
        return self.newest + 1 if new else max(self.newest, 0)

    def record_written_part(self, part: OpenPart) -> None:
        """Record the part that text is now added to; count a departure if that interrupts an open part."""
        previous, self._last_written = self._last_written, part
        if previous is not part and previous is not None and not previous.closed:
            self.note("parts_interleaved")

    def _note_unopened(self, key: KeyT) -> None:
        """Count a piece of a block that is not open as a departure; a new block will have its key."""
        self.note("part_after_close" if key in self._closed else "part_unopened")
        self._closed.pop(key, None)

    def _read_unmatched(self, key: KeyT, arguments: object, *, is_arguments: bool = True) -> None:
        """Read a piece that belongs to no open block: arguments may repeat those of a closed call."""
        if is_arguments and key in self._closed:
            add_late(self, 0, self._closed[key], arguments)
            return
        self.note("part_unopened")
        if is_arguments:
            self.note_lost_arguments(arguments)

    def add_or_write(self, part: OpenPart, kind: TextKind, text: str) -> bool:
        """Add text to its block's part; of another kind, it becomes a part of its own, unless it is blank."""
        if part.kind == kind:
            self.add(part, text)
            return True
        if not text or text.isspace():
            return False
        # Quirk (sglang, 2026): words of the model within the block of a call (sgl-project/sglang#24293).
        self.note("delta_misfits")
        self.write(0, kind, text)
        return True

    def _hand_out_waiting(self) -> None:
        """Hand out the calls that `stop` kept back: the answer goes on, so no token limit cut them off."""
        if self._waiting:
            for call in self._waiting:
                self.end_at_mark(call)
            self._waiting.clear()

    def stop(self, key: KeyT) -> None:
        """Close a block; if it is a tool call with whole arguments, hand the call out to the application.

        Arguments that are not an object may have been cut off, although they look whole. Their call
        waits until the next payload arrives; see `_hand_out_waiting`.
        """
        block = self._open.pop(key, None)
        if block is None:
            self.note("part_end_unmatched" if key in self._closed else "part_unopened")
            return
        self._end_block(block)
        if block.part is not None and block.part.waits:
            # The arguments may still come.
            self._open[key] = block
        else:
            self._note_closed(key, block.part)

    def _end_block(self, block: BlockT) -> None:
        """Close the part of a block at the mark of its end; a call may have to wait for the next payload."""
        part = block.part
        if part is None:
            # The block's kind never became known, so there is nothing to close.
            return
        # "Unsent" are data of the block for which there was no event yet.
        self._report_unsent(block)
        if isinstance(part, OpenCall) and not (part.is_empty or part.begins_object):
            # Arguments should be an object. If they do not begin with a brace, the token limit may
            # have cut them off even though they look whole: 12 may be the start of 123. The next
            # payload decides.
            self._waiting.append(part)
        else:
            self._close_part(part, whole=True)

    def _note_closed(self, key: KeyT, part: OpenPart | None) -> None:
        """Note that a block is closed, so that later deltas with its key are recognised."""
        # The limit keeps the collection small if a server closes blocks without end.
        if len(self._closed) < self.limits.parts:
            self._closed[key] = part.sent_id if isinstance(part, OpenCall) else ""

    @property
    def has_open(self) -> bool:
        return any(self._unended())

    def _unended(self) -> Iterator[tuple[KeyT, BlockT]]:
        """Yield the open blocks, oldest first; a call that waits for its arguments was closed."""
        for key, block in self._open.items():
            if block.part is None or not block.part.waits:
                yield key, block

    def cut(self) -> None:
        """Close the blocks that are still open; their calls, which may not be whole, are not handed out."""
        self._note_unclosed()
        for _, block in self._unended():
            if block.part is not None:
                self._close_part(block.part, whole=False)
        self._open.clear()

    def _note_unclosed(self) -> None:
        """Count each open block as a departure: the documentation says that the server closes it."""
        for _, block in self._unended():
            if block.part is not None:
                self.note("part_unclosed")
                self._report_unsent(block)

    def finish(self, choice: int, reason: FinishReason, raw_reason: str | None) -> None:
        # Quirk (Anthropic, 2025-02): no block stop where the token limit cut a call;
        # recording: anthropic-anthropic-sdk-python-incomplete-partial-json-response-e0e79ee1.
        self._note_unclosed()
        super().finish(choice, reason, raw_reason)
        was_open, self._open = self._open, {}
        for key, block in was_open.items():
            if block.part is None:
                continue
            if block.part.waits:
                self._open[key] = block
            else:
                self._note_closed(key, block.part)
        # The finish reason has decided about these calls, too: they were still open parts.
        self._waiting.clear()

    def close_all(self, *, complete: bool) -> None:
        for block in self._open.values():
            self._report_unsent(block)
        self._open.clear()
        super().close_all(complete=complete)

    def _close_part(self, part: OpenPart, *, whole: bool) -> None:
        """Close a part; a tool call is handed out only if its arguments are `whole`."""
        if isinstance(part, OpenCall):
            self.end_at_mark(part, whole=whole)
        else:
            self.close(part)

    def _close_replaced(self, block: BlockT) -> None:
        """Close a block that is still open although a new block has the same key."""
        part = block.part
        if part is not None:
            has_pieces = isinstance(part, OpenCall) and part.has_arguments
            self._report_unsent(block)
            whole = True
            if isinstance(part, OpenCall):
                # A call without arguments, or with `{}` in its start, may have been cut off before its first
                # piece; after a second start of the answer, it may be one of an attempt that was given up.
                is_empty = not has_pieces and says_no_arguments(part.arguments.join())
                whole = not (is_empty or self.is_restarted)
            self._close_part(part, whole=whole)
