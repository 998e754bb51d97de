"""Puts frames that arrive out of order, or twice, in order before a format reads them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.json import decode
from tokenstream._basics.kept_errors import ErrorKeeper
from tokenstream._basics.untrusted import is_dict
from tokenstream.errors import MisuseError, PositionLost, ProtocolError
from tokenstream.formats._resume.described import content_of
from tokenstream.limits import check_wait, check_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import Json
    from tokenstream.departures import Departures
    from tokenstream.formats._base import Frame

FrameId: TypeAlias = int | str | None
"""A frame's number; or its id, if that is not a number; or None if the frame has neither."""


_MAX_DIGITS = 18


class Reorder(ErrorKeeper):
    r"""A stage that returns frames in the order of their numbers, each once.

    Numbers go up by one from frame to frame. A frame that arrives too early is held
    until the frames before it have arrived. A frame that arrives again is dropped; if
    its content differs from the first time, that is an error, because it belongs to
    another answer. A frame without a number stays after the frame that arrived before
    it. Ids that are not numbers have no order: only repeated ones are dropped.

    `error` names the missing number: after `timeout` seconds, once `window` frames
    are held, or at the end of the input. The frames after the gap are then not
    returned.

    Args:
        key: The number's path in a payload, such as "sequence_number" or "meta.seq"; or a function that
            returns the number of a frame: the bytes of a payload, a `ServerSentEvent`, or a dict.
        window: The most frames that are held, and the number of frames that are remembered, to be
            compared with those that arrive again.
        timeout: The longest time that a gap may stay open, in seconds.
        first: The number of the first frame; 0 with OpenAI. The stage waits for it as for any other frame,
            but it is not an error if only the first frame is missing.

    Example:
        >>> reorder = Reorder("n")
        >>> [reorder.feed({"n": n}) for n in (0, 2, 2, 1)]
        [[{'n': 0}], [], [], [{'n': 1}, {'n': 2}]]
        >>> reorder.dropped, reorder.end(), reorder.error
        (1, [], None)
    """

    def __init__(
        self,
        key: str | Callable[[Any], FrameId] = "sequence_number",
        *,
        window: int = 256,
        timeout: float = 5.0,
        first: int = 0,
    ) -> None:
        key_argument: Any = key
        is_path = isinstance(key_argument, str) and bool(key_argument)
        if not callable(key_argument) and not is_path:
            raise MisuseError(f"key= is where the number is in a payload, or a function, and not {key!r}")
        check_whole("window", window)
        check_whole("first", first, least=0)
        check_wait("timeout", timeout)
        # The options.
        self._key: Callable[[Any], FrameId] | None = key if callable(key) else None
        self._path = () if callable(key) else tuple(key.split("."))
        self._window = window
        self._timeout = timeout
        self._first = first

        # The position in the order.
        self._next_number = first
        """The number of the frame to return next."""
        self._lowest = first
        """The lowest number that a frame of this answer can have: that of its first frame."""
        self._started = False
        """True once the first frame has arrived, or the stage has given up waiting for it."""

        # The frames that were held, or returned before.
        self._held: dict[int, list[Frame]] = {}
        """Frames that arrived too early, by number, each with the unnumbered frames after it."""
        self._held_count = 0
        self._gap_since = 0.0
        """The clock when the open gap was noticed."""
        self._recent: OrderedDict[int | str, Frame] = OrderedDict()
        """The frames that arrived last, by number or id."""

        # The results.
        self._in_use = False
        """True once a stream uses this object."""
        self.error: ProtocolError | None = None
        """The error about a missing frame; None if there is none."""
        self.dropped = 0
        """Number of frames that arrived again and were dropped."""
        self.moved = 0
        """Number of frames that arrived too early and were held."""

    # -- as a stage --------------------------------------------------------

    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Frame]:
        """Return the frames that come next in the order, now that a frame has arrived.

        A frame with an id that is not a number has no place in the order; it is dropped if it arrives again.

        Args:
            frame: A payload, an SSE event, or a payload that is already decoded.
            now: A clock reading, in seconds.
        """
        if self.error is not None:
            return []
        frame_id = self._get_frame_id(frame)
        if isinstance(frame_id, int):
            return self._take_numbered(frame_id, frame, now)
        if isinstance(frame_id, str) and frame_id:
            if frame_id in self._recent:
                return self._drop_repeated(frame_id, frame)
            self._remember(frame_id, frame)
        if not self._held:
            return [frame]
        # A frame without a number is returned after all frames that arrived before it.
        return self._hold(max(self._held), frame)

    def end(self, *, now: float = 0.0) -> list[Frame]:
        """Return the held frames if only the first frame is missing; any other gap is an error.

        Args:
            now: Unused; every stage has this parameter.
        """
        return self._give_up("the input ended") if self._held and self.error is None else []

    def tick(self, now: float) -> list[Frame]:
        """Return the held frames if only the first frame has not come in time; any other gap is an error.

        Args:
            now: A clock reading, in seconds.
        """
        deadline = self.deadline
        if deadline is None or now < deadline:
            return []
        return self._give_up(f"it did not come within {self._timeout:g} s")

    @property
    def deadline(self) -> float | None:
        """The clock reading at which an open gap becomes an error; None if no gap is open."""
        return self._gap_since + self._timeout if self._held and self.error is None else None

    # -- for the driver ----------------------------------------------------

    def take(self, departures: Departures) -> None:
        """Mark this object as used by a stream, whose format need not know the number's field.

        Each stream needs its own.

        Raises:
            MisuseError: Another stream uses this object already.
        """
        if self._in_use:
            raise MisuseError(
                "this Reorder belongs to another stream, whose frames it counts: make a new one"
            )
        self._in_use = True
        for name in self._path[:1]:
            departures.leave_out(f"field_unread {name}")

    def note(self, departures: Departures, event: int) -> None:
        """Report how many frames were dropped or held back, as departures from the protocol.

        Args:
            event: The number of the last frame that was read, to locate the departures.
        """
        for name, count in (("frame_repeated", self.dropped), ("frame_reordered", self.moved)):
            if count:
                departures.note(name, event=event, count=count)

    # -- within ------------------------------------------------------------

    def _get_frame_id(self, frame: object) -> FrameId:
        """Return the number or the id of a frame; None if it has neither."""
        value: Any = self._find_at_path(frame) if self._key is None else self._key(frame)
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _MAX_DIGITS:
            return int(value)
        # In Python, True and False are integers, too.
        return value if isinstance(value, int | str) and not isinstance(value, bool) else None

    def _find_at_path(self, frame: object) -> Json:
        """Return the value in a frame's payload to which the caller's path leads; None if there is none."""
        # Bytes, and dicts that were decoded elsewhere, are the payload themselves.
        value: Any = getattr(frame, "payload", frame)
        if not is_dict(value):
            try:
                value = decode(value)
            except ProtocolError:
                # The format itself reports invalid JSON when it reads the frame.
                return None
        for name in self._path:
            value = value.get(name) if is_dict(value) else None
        return value

    def _take_numbered(self, number: int, frame: Frame, now: float) -> list[Frame]:
        """Return a numbered frame and the held frames after it; none if it is too early or repeated."""
        is_first_to_arrive = not (self._started or self._held)
        if is_first_to_arrive and number > self._first + self._window:
            # More frames are missing than could be held: the stream was joined in the middle, at this frame.
            self._next_number = self._lowest = number
        if number < self._lowest:
            return self._fail(
                number, f"frame number {number} came after number {self._lowest}, where the answer was begun"
            )
        if number < self._next_number or number in self._held:
            return self._drop_repeated(number, frame)
        self._remember(number, frame)
        if number > self._next_number:
            # Frames before this one are missing: a gap is open.
            if not self._held:
                self._gap_since = now
            self._held[number] = []
            self.moved += 1
            return self._hold(number, frame)
        self._next_number, self._started = number + 1, True
        return [frame, *self._release_frames(now)] if self._held else [frame]

    def _remember(self, id: int | str, frame: Frame) -> None:
        """Remember a frame, and forget the oldest beyond `window`."""
        self._recent[id] = frame
        if len(self._recent) > self._window:
            self._recent.popitem(last=False)

    def _drop_repeated(self, id: int | str, frame: Frame) -> list[Frame]:
        """Drop a frame that arrived before; set `error` if the first one of its number has other content."""
        known = self._recent.get(id)
        if known is not None and known != frame and content_of(known) != content_of(frame):
            self._drop_held()
            self.error = PositionLost(
                f"frame number {id} came twice with different contents, so they are of two answers; what "
                "came before is in .partial",
                event=id if isinstance(id, int) else None,
            )
            return []
        self.dropped += 1
        return []

    def _release_frames(self, gap_since: float) -> list[Frame]:
        """Return the held frames up to the next gap, which counts as open from `gap_since` on."""
        frames: list[Frame] = []
        while (group := self._held.pop(self._next_number, None)) is not None:
            frames += group
            self._held_count -= len(group)
            self._next_number += 1
        self._gap_since = gap_since
        return frames

    def _drop_held(self) -> None:
        self._held.clear()
        self._held_count = 0

    def _hold(self, number: int, frame: Frame) -> list[Frame]:
        """Hold a frame; if too many are held, give up waiting, and return the frames that this releases."""
        self._held[number].append(frame)
        self._held_count += 1
        if self._held_count > self._window:
            return self._give_up(f"{self._window} frames after it have come")
        return []

    def _give_up(self, why: str) -> list[Frame]:
        """Stop waiting for the missing frame: release the held frames if it is the first, otherwise fail."""
        missing = self._next_number
        only_first_is_missing = not self._started and min(self._held) == missing + 1
        if only_first_is_missing:
            self._started, self._next_number = True, missing + 1
            self._lowest = self._next_number
            # A gap that is left has been open as well since the first frame was missed.
            return self._release_frames(self._gap_since)
        return self._fail(missing, f"frame number {missing} never came ({why})")

    def _fail(self, number: int, what: str) -> list[Frame]:
        self._drop_held()
        self.error = ProtocolError(f"{what}; what came before it is in .partial", event=number)
        # The server has the missing frame and may send it if asked to continue from there.
        self.error.retryable = True
        return []
