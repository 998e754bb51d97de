"""A reader's position in the tool calls of a choice while the model writes them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from tokenstream.errors import TokenStreamError
from tokenstream.events import PartDelta, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from tokenstream.stages._tools.draft import CallDraft, CallPartials
from tokenstream.stream._outputs.documents import BegunCalls, OutputDocument
from tokenstream.stream._outputs.end import add_context, incomplete_error
from tokenstream.stream._outputs.text import ArgumentsText
from tokenstream.stream._outputs.tools_cursor import CheckedCursor

if TYPE_CHECKING:
    from tokenstream.message import ToolCall
    from tokenstream.partial_json import Partial
    from tokenstream.stages._tools.calls import ValidatedCalls
    from tokenstream.stream._outputs.documents import BegunCall, OutputChoice

_NO_CALLS = frozenset({TextDelta, ReasoningDelta, RefusalDelta, PartDelta})
"""Events that have nothing to do with tool calls."""
_NOTHING = "null"
"""The arguments text that some servers send instead of an empty object."""


class CallDraftCursor:
    """A reader's position in the tool calls of a choice while the model writes them.

    A cursor follows two things at once: the text of each open call, from which the drafts
    are made, and the calls that have ended, each of which is delivered once, with its last draft.

    Args:
        answer: The choice.
        tools: Checks the calls against the tools.
    """

    __slots__ = (
        "_answer",
        "_begun",
        "_ended",
        "_failure",
        "_found",
        "_given",
        "_held",
        "_open",
        "_restarts",
        "_tools",
    )

    def __init__(self, answer: OutputChoice, tools: ValidatedCalls) -> None:
        self._answer = answer
        self._tools = tools
        self._begun = BegunCalls(answer)
        self._ended = CheckedCursor(answer.accumulator, answer.choice, tools)
        self._open: dict[int, _OpenCall] = {}
        """Calls that have begun but not ended, by part index."""
        self._given: set[int] = set()
        """Numbers of the calls that were delivered whole; if the answer restarts, they get no drafts."""
        self._found: deque[CallDraft[Any, Any]] = deque()
        """Drafts to deliver next."""
        self._held = -1
        """Length of the answer in characters when all open calls were last read."""
        self._failure: Exception | None = None
        """An exception of the application's own validator, or the error to raise at the end."""
        self._restarts = answer.accumulator.restarts

    def ready(self) -> CallDraft[Any, Any] | None:
        """Return the next draft that the reader does not have yet; None if the reader has all drafts.

        Raises:
            StreamError: The answer was restarted, and has a different call in place of a delivered one.
        """
        if self._restarts != self._answer.accumulator.restarts:
            self._begin_again()
        if not self._found and self._failure is None:
            self._catch_up()
        return self._next()

    def after(self, event: Any) -> CallDraft[Any, Any] | None:  # noqa: ANN401 - any event
        """Return the draft that an event adds, or None.

        Raises:
            StreamError: As in `ready`.
        """
        accumulator = self._answer.accumulator
        if event.__class__ in _NO_CALLS:
            return None
        if event.__class__ is not ToolCallDelta or self._restarts != accumulator.restarts:
            return self.ready()
        if event.choice != self._answer.choice:
            return None
        open_call = self._open.get(event.part)
        if open_call is None or self._failure is not None:
            return self.ready()
        if accumulator.held == self._held + len(event.fragment):
            self._held = accumulator.held
        self._take(open_call, open_call.text.after(event))
        return self._next()

    def end(self) -> CallDraft[Any, Any] | None:
        """Return the next draft that the end of the stream adds, or raise the error of the answer.

        Raises:
            OutputIncomplete: A call was cut off.
            StreamError: The answer was restarted, and lacks a call that was delivered.
        """
        found = self.ready()
        if found is None and self._failure is None:
            # Nothing is left to deliver; this raises an error if a delivered call is missing.
            self._ended.end()
            cut = next((open_call for open_call in self._open.values() if open_call.has_drafts), None)
            self._failure = None if cut is None else self._make_cut_error(cut)
        return self._next(over=True) if found is None else found

    # -- within ------------------------------------------------------------------

    def _begin_again(self) -> None:
        """Forget everything but the numbers of delivered calls, because the answer was restarted."""
        self._restarts = self._answer.accumulator.restarts
        self._begun = BegunCalls(self._answer)
        self._open.clear()
        self._found.clear()
        self._held, self._failure = -1, None

    def _next(self, *, over: bool = False) -> CallDraft[Any, Any] | None:
        """Return the next queued draft; None if no draft is queued, or raise the failure if it is time.

        Args:
            over: True at the end of the stream.
        """
        if self._found:
            return self._found.popleft()
        failure = self._failure
        # An exception of the application is raised at once, an error of the answer at its end.
        if failure is not None and (over or not isinstance(failure, TokenStreamError)):
            raise failure.with_traceback(None) from failure.__cause__
        return None

    def _catch_up(self) -> None:
        """Read what has arrived since the last call, and queue the drafts for it."""
        for call in self._begun.begun():
            self._open[call.at] = _OpenCall(call, self._tools, again=call.number in self._given)
        # One ended call at a time, so that it is delivered before the error of the next call.
        ended = self._ended.ready()
        if ended is not None:
            self._finish(ended)
            return
        held = self._answer.accumulator.held
        for open_call in self._open.values():
            if self._failure is None and (held != self._held or open_call.is_new):
                self._take(open_call, open_call.text.ready())
        self._held = held

    def _take(self, open_call: _OpenCall, piece: str | None) -> None:
        """Read a piece of a call's arguments, and queue a draft if the piece changes the call."""
        before = open_call.document.last
        if piece is not None and open_call.has_drafts:
            open_call.document.feed(piece)
            self._note_failure(open_call)
        if open_call.has_drafts and (open_call.is_new or open_call.document.last is not before):
            self._found.append(open_call.make_draft())
        open_call.is_new = False

    def _finish(self, ended: ToolCall) -> None:
        """Queue the last draft of a call that has ended."""
        at = next(at for at, open_call in self._open.items() if open_call.text.begun.id == ended.id)
        open_call = self._open.pop(at)
        open_call.finish()
        self._note_failure(open_call)
        self._given.add(open_call.call.number)
        self._found.append(open_call.make_draft(ended))

    def _note_failure(self, open_call: _OpenCall) -> None:
        """Store an exception of the application's own validator."""
        error = open_call.document.stage.error
        if error is not None and not isinstance(error, TokenStreamError):
            self._failure = error

    def _make_cut_error(self, open_call: _OpenCall) -> Exception:
        """Return the error for a call that was cut off."""
        message, best = self._answer.message, open_call.stage.partial()
        error = incomplete_error(
            message, open_call.text.text, whole=best.complete, errors=best.errors, best=best
        )
        return add_context(error, message, "", None)


class _OpenCall:
    """A tool call that the model is writing.

    Args:
        call: The call.
        tools: Checks the calls against the tools.
        again: True if the call was delivered whole before the answer was restarted.
    """

    __slots__ = ("_tools", "call", "document", "has_drafts", "is_new", "stage", "text")

    def __init__(self, call: BegunCall, tools: ValidatedCalls, *, again: bool) -> None:
        self.call = call
        self._tools = tools
        self.has_drafts = call.start.name in tools.names and not again
        """True if drafts of the call are delivered; a call of an unknown tool has only a last draft."""
        self.is_new = True
        """True until the first draft of the call is made."""
        self.stage: CallPartials = tools.drafting(call.start)
        self.text = ArgumentsText(call.part, free=call.start.type == "custom")
        self.document: OutputDocument[Partial[Any]] = OutputDocument(self.text, self.stage, "drafts")

    def make_draft(self, ended: ToolCall | None = None) -> CallDraft[Any, Any]:
        """Return a draft of the call so far.

        Args:
            ended: The finished call; None while the call is open.
        """
        call = ended or self.text.begun
        return CallDraft(call.id, call.name, self.call.number, self.stage.partial(), ended)

    def finish(self) -> None:
        """Read the rest of the arguments; if they differ from their pieces, read all of them again."""
        document, text = self.document, self.text
        for read in (text.ready, text.end):
            piece = read()
            if piece is not None:
                document.feed(piece)
        free = text.begun.type == "custom"
        if text.rewritten or (not free and text.text.strip() == _NOTHING):
            self.stage = self._tools.drafting(self.call.start)
            self.stage.feed(text.text if text.rewritten else "{}")
            document.stage = self.stage
        if self.stage.error is None:
            self.stage.end()
