"""A reader's cursor in the tool calls of a choice while the model writes them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._answer.accumulator import ENDING_CALLS
from tokenstream._basics.kept_errors import raised_anew
from tokenstream._basics.request_facts import meant_name
from tokenstream.errors import TokenStreamError
from tokenstream.events import PartDelta, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from tokenstream.stages._tools.call import CallDraft, CallPartials
from tokenstream.stream._outputs.documents import BegunCall, BegunCalls, OutputChoice, OutputDocument
from tokenstream.stream._outputs.text import ArgumentsCursor, incomplete_error
from tokenstream.stream._views.log_cursor import LogCallCursor

if TYPE_CHECKING:
    from tokenstream._answer.accumulator import Accumulator
    from tokenstream._basics.call_keys import Describe
    from tokenstream._basics.loose import AnyEvent
    from tokenstream.message import ToolCall
    from tokenstream.partial_json import Partial
    from tokenstream.stages._tools.calls import ValidatedCalls

AnyDraft: TypeAlias = "CallDraft[Any, Any]"
"""A draft of a call of any tool."""


class CheckedCursor(LogCallCursor):
    """A reader's cursor in the ended calls of a choice, which a stage checks.

    Args:
        tools: The stage that checks the calls.
        wait: True to hold back all calls until the answer is complete.
        answers: True to record the error of a call that cannot be run as the call's result.
    """

    def __init__(
        self,
        accumulator: Accumulator,
        choice: int,
        tools: ValidatedCalls,
        *,
        wait: bool = False,
        answers: bool = False,
    ) -> None:
        super().__init__(accumulator, choice, wait=wait)
        self._tools = tools
        self._answers = answers
        self._maybe_cut: ToolCall | None = None
        """A call that has ended with unfinished arguments, and was cut off unless another part follows it."""

    @property
    def describe(self) -> Describe:
        return self._tools.describe

    def refuse_async(self) -> None:
        """Refuse asynchronous tools, for a stream that cannot await their results."""
        self._tools.refuse_async()

    def after(self, event: object) -> ToolCall | None:
        """Return the call that an event ends, even if its arguments are not JSON."""
        return self.ready() if event.__class__ in ENDING_CALLS else None

    def make_waiting(self) -> CheckedCursor:
        waiting = CheckedCursor(self.accumulator, self.choice, self._tools, wait=True, answers=self._answers)
        waiting.has_store = self.has_store
        return waiting

    def _check(self, call: ToolCall) -> list[ToolCall] | None:
        """Check a call that has ended; None for a call that may have been cut off."""
        # Choice 0 stands for the first choice, even if the answer has none with index 0.
        choice = self.choice or self.accumulator.main
        # A call that lacked its end the last time is not parsed again.
        lacks_end = call is self._maybe_cut or (not call.complete and self._tools.lacks_end(call))
        if lacks_end:
            # If another part follows the call, the call was not cut off.
            self._maybe_cut = call
            choices, *_ = self.accumulator.state_to_copy()
            state = choices.get(choice)
            if state is None or not state.has_gone_on(call.id):
                return None
            # Something follows the call, so the model itself ended it like this. Unlike `feed`, `settle`
            # adds the missing end.
            (checked,) = self._tools.settle(call)
        else:
            # Only calls that have ended are in the log: one that `feed` takes for cut off has ended badly.
            (checked,) = self._tools.feed(call) or self._tools.settle(call)
        if checked.repairs and checked.error is None:
            # The accumulator records only calls with valid JSON as delivered, and this one was repaired.
            self.accumulator.note_delivered(checked.id)
        if checked.error is not None:
            checked.error.partial = self.accumulator.message_of(choice)
            checked.error.origin = self.accumulator.origin
            if self._answers:
                self.accumulator.refuse_call(checked, choice)
        return [checked]


_UNRELATED_EVENTS = frozenset({TextDelta, ReasoningDelta, RefusalDelta, PartDelta})
"""Events that have nothing to do with tool calls."""
_NULL_TEXT = "null"
"""The arguments text that some servers send instead of an empty object."""


class CallDraftCursor:
    """A reader's cursor in the tool calls of a choice while the model writes them.

    A cursor follows two things at once: the text of each open call, from which the drafts
    are made, and the calls that have ended, each of which is delivered once, with its last draft.

    Args:
        tools: Checks the calls against the tools.
    """

    def __init__(self, answer: OutputChoice, tools: ValidatedCalls) -> None:
        self._answer = answer
        self._tools = tools
        self._begun_calls = BegunCalls(answer)
        self._ended_calls = CheckedCursor(answer.accumulator, answer.choice, tools)
        self._open_calls: dict[int, _DraftedCall] = {}
        """Calls that have begun but not ended, by part index."""
        self._restored = 0
        """Number of calls that were passed over, being from before the checkpoint."""
        self._delivered: set[int] = set()
        """Numbers of the calls that were delivered whole; if the answer restarts, they get no drafts."""
        self._queue: deque[AnyDraft] = deque()
        self._chars_read = -1
        """Length of the answer in characters when all open calls were last read."""
        self._failure: Exception | None = None
        """An exception of the application's own validator, or the error to raise at the end."""
        self._restarts = answer.accumulator.restarts
        """Number of the answer's restarts for which this cursor has started over."""

    @property
    def describe(self) -> Describe:
        return self._ended_calls.describe

    def use_store(self) -> None:
        self._ended_calls.use_store()

    def ready(self) -> AnyDraft | None:
        """Return the next draft that the reader lacks, or None; StreamError if a delivered call differs."""
        if self._restarts != self._answer.accumulator.restarts:
            self._start_over()
        if not self._queue and self._failure is None:
            self._read_arrived()
        return self._next_draft()

    def after(self, event: AnyEvent) -> AnyDraft | None:
        """Return the draft that an event adds, or None."""
        accumulator = self._answer.accumulator
        if event.__class__ in _UNRELATED_EVENTS:
            return None
        if event.__class__ is not ToolCallDelta or self._restarts != accumulator.restarts:
            # A call may have begun or ended, or the answer was restarted.
            return self.ready()
        if event.choice != self._answer.choice:
            return None
        open_call = self._open_calls.get(event.part)
        if open_call is None or self._failure is not None:
            # The call has not been looked at yet, or no call is read any further.
            return self.ready()
        # `held` is the length of the whole answer.
        only_this_arrived = accumulator.held == self._chars_read + len(event.fragment)
        if only_this_arrived:
            # The other calls need not be read.
            self._chars_read = accumulator.held
        self._read_piece(open_call, open_call.text.after(event))
        return self._next_draft()

    def end(self) -> AnyDraft | None:
        """Return the next draft at the end of the stream; after the last one, return None or raise the error.

        It is an error if a call was cut off, or if a restarted answer lacks a call that was delivered.
        """
        draft = self.ready()
        if draft is not None:
            return draft
        if self._failure is None:
            # Nothing is left to deliver; this raises an error if a delivered call is missing.
            self._ended_calls.end()
            # A call that is still open was cut off.
            cut_call = next((call for call in self._open_calls.values() if call.has_drafts), None)
            self._failure = None if cut_call is None else self._make_cut_error(cut_call)
        # `ready` has left no draft in the queue: this raises the failure, or returns None if there is none.
        return self._next_draft(at_end=True)

    # -- within ------------------------------------------------------------------

    def _start_over(self) -> None:
        """Forget everything but the numbers of delivered calls, because the answer was restarted."""
        self._restarts = self._answer.accumulator.restarts
        self._begun_calls = BegunCalls(self._answer)
        self._open_calls.clear()
        self._queue.clear()
        self._chars_read, self._failure = -1, None

    def _next_draft(self, *, at_end: bool = False) -> AnyDraft | None:
        """Return the next queued draft, or None; raise the stored failure once no draft is queued."""
        if self._queue:
            return self._queue.popleft()
        failure = self._failure
        # An exception of the application is raised at once, an error of the answer at its end.
        if failure is not None and (at_end or not isinstance(failure, TokenStreamError)):
            raise raised_anew(failure)
        return None

    def _read_arrived(self) -> None:
        """Read all that has arrived since the last call of this method, and queue the drafts."""
        for call in self._begun_calls.find_new():
            log = self._answer.accumulator.log_of(self._answer.choice)
            is_restored = self._restored < log.restored and call.part.final is log.calls[self._restored]
            if is_restored and not self._ended_calls.has_store:
                self._restored += 1
                continue
            self._open_calls[call.part_index] = _DraftedCall(
                call, self._tools, was_delivered=call.number in self._delivered
            )
        # One ended call at a time, so that it is delivered before the error of the next call.
        ended = self._ended_calls.ready()
        if ended is not None:
            self._queue_last_draft(ended)
            return
        # If the answer has not grown since the last call, only calls that have just begun are read.
        char_count = self._answer.accumulator.held
        for open_call in self._open_calls.values():
            if self._failure is None and (char_count != self._chars_read or open_call.is_new):
                self._read_piece(open_call, open_call.text.ready())
        self._chars_read = char_count

    def _read_piece(self, open_call: _DraftedCall, piece: str | None) -> None:
        """Read a piece of a call's arguments; queue a draft if the call is new or changed."""
        before = open_call.document.last
        if piece is not None and open_call.has_drafts:
            open_call.document.feed(piece)
            self._note_failure(open_call)
        if open_call.has_drafts and (open_call.is_new or open_call.document.last is not before):
            self._queue.append(open_call.make_draft())
        open_call.is_new = False

    def _queue_last_draft(self, ended: ToolCall) -> None:
        index = next(
            index
            for index, open_call in self._open_calls.items()
            if open_call.text.call_so_far.id == ended.id
        )
        open_call = self._open_calls.pop(index)
        open_call.finish()
        self._note_failure(open_call)
        self._delivered.add(open_call.call.number)
        self._queue.append(open_call.make_draft(ended))

    def _note_failure(self, open_call: _DraftedCall) -> None:
        """Store the error of a call, if the application's own validator has raised that error."""
        error = open_call.document.stage.error
        if error is not None and not isinstance(error, TokenStreamError):
            self._failure = error

    def _make_cut_error(self, open_call: _DraftedCall) -> Exception:
        message, best = self._answer.message, open_call.stage.partial()
        error = incomplete_error(
            message, open_call.text.text, whole=best.complete, errors=best.errors, best=best
        )
        # The error already has its text and its last snapshot.
        return self._answer.add_to(error)


class _DraftedCall:
    """A tool call that the model is writing.

    Args:
        tools: Checks the calls against the tools.
        was_delivered: True if the call was delivered whole before the answer was restarted.
    """

    def __init__(self, call: BegunCall, tools: ValidatedCalls, *, was_delivered: bool) -> None:
        self.call = call
        self._tools = tools
        self.has_drafts = meant_name(call.start.name, tools.names) is not None and not was_delivered
        """True if drafts of the call are delivered; a call of an unknown tool has only a last draft."""
        self.is_new = True
        """True until the first draft of the call is made."""
        self.stage: CallPartials = tools.drafting(call.start)
        """Turns the text of the arguments into drafts."""
        self.text = ArgumentsCursor(call.part, is_free_text=call.start.type == "custom")
        self.document: OutputDocument[Partial[Any]] = OutputDocument(self.text, self.stage, "drafts")
        """Feeds the text to the stage, and keeps the last draft."""

    def make_draft(self, ended: ToolCall | None = None) -> AnyDraft:
        call = ended or self.text.call_so_far
        return CallDraft(call.id, call.name, self.call.number, self.stage.partial(), ended)

    def finish(self) -> None:
        """Read the rest of the arguments, after the call has ended.

        If the server has sent other arguments at the end than piece by piece, all of them are read again.
        """
        document, text = self.document, self.text
        # The text that has arrived since the last read, and then the text that was held back.
        for read in (text.ready, text.end):
            piece = read()
            if piece is not None:
                document.feed(piece)
        takes_json = text.call_so_far.type != "custom"
        # Some servers send null for a call without arguments.
        is_null = takes_json and text.text.strip() == _NULL_TEXT
        if text.rewritten or is_null:
            self.stage = self._tools.drafting(self.call.start)
            self.stage.feed(text.text if text.rewritten else "{}")
            document.stage = self.stage
        if self.stage.error is None:
            self.stage.end()
