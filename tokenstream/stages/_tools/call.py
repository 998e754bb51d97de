"""A tool call with checked arguments: its drafts while the model writes it, and finally the call."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Generic, Self

from pydantic import PrivateAttr
from typing_extensions import TypeVar

from tokenstream._basics.call_keys import Describe, find_call_place, set_place
from tokenstream._basics.text_log import TextLog
from tokenstream._values.parts import CallState, set_repairs
from tokenstream.errors import CallUncertain, MisuseError, OutputIncomplete, OutputInvalid
from tokenstream.message import ToolCall
from tokenstream.partial_json._events import ValueStart
from tokenstream.partial_json._parser import PartialJSONParser
from tokenstream.stages._objects.partials import Partials
from tokenstream.stages._tools.generators import finish_call, finish_later, is_async_generator, needs_await
from tokenstream.stages._tools.kinds import TypeTool

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tokenstream.partial_json import Partial
    from tokenstream.partial_json._repairs import Lenient, Repair
    from tokenstream.partial_json._typed.schema import Schema
    from tokenstream.stages._tools.kinds import Tool
    from tokenstream.stages._tools.once import CallRun, CallStep, CallSteps
    from tokenstream.stages._tools.same_calls import SameCalls

A_co = TypeVar("A_co", covariant=True, default=Any)
R_co = TypeVar("R_co", covariant=True, default=Any)


def make_async_error(name: str) -> MisuseError:
    return MisuseError(
        f"the tool {name!r} is asynchronous, and a Stream cannot await it: read the calls of an AsyncStream, "
        "or make the tool a plain function"
    )


class CheckedCall(ToolCall[Any, Any]):
    """A tool call with its arguments in the types that the tool declares, or with an error.

    Callers get it as a `ToolCall` with the same fields. The checked arguments are kept
    in private attributes, and are not part of the call's JSON.
    """

    _arguments: Any = PrivateAttr(default=None)
    _tool: Any = PrivateAttr(default=None)
    _error: Any = PrivateAttr(default=None)
    _run: Any = PrivateAttr(default=None)
    _do: Any = PrivateAttr(default=None)
    _may_await: bool = PrivateAttr(default=True)

    @classmethod
    def of(cls, call: ToolCall, describe: Describe, repairs: tuple[Repair, ...] = ()) -> Self:
        """Return a copy of a call; `accept` or `refuse` then adds the result of the check."""
        checked = cls.model_construct(call.model_fields_set, **dict(call))
        set_repairs(checked, (*call.repairs, *repairs))
        place = find_call_place(call)
        set_place(checked, None if place is None else place.make_checked(describe))
        return checked

    def accept(self, arguments: object, tool: Tool, *, may_await: bool = True) -> Self:
        self._arguments = arguments
        self._tool = tool
        self._may_await = may_await
        return self

    def describe_for_person(self) -> str | None:
        """Return the validated arguments as JSON, without what their type hides; None if there is none."""
        text: str | None = self._tool.show(self._arguments)
        return text

    def compare(self, same_calls: SameCalls) -> CallSteps:
        """Compare this call and those before it with the first answer under the same id."""
        place = find_call_place(self)
        if place is not None and place.calls is not None and place.identity.kind != "random":
            yield from same_calls.check(place.calls, place.number + 1)

    def enter(self, run: CallRun) -> Generator[CallStep, Any, object]:
        """Return what the stream does at a store of calls (the option `once`) before it returns this call.

        If the tool is a function, the call is only looked up: it begins when the application calls `run`. If
        the tool is a type, the call begins now, because the application may act on it as soon as it has it.
        """
        return run.begin() if isinstance(self._tool, TypeTool) else run.look()

    def join_store(self, run: CallRun, do: Callable[[Any], Any]) -> None:
        """Let the methods `run`, `finish` and `fail` of this call use a store, which remembers calls."""
        self._run, self._do = run, do
        self._error = run.make_error(run.state)

    def refuse(self, error: OutputInvalid, words: str) -> Self:
        """Mark the call as a call that cannot be run, and return it."""
        error.words_for_model = words
        self._error = error
        return self

    @property
    def arguments(self) -> Any:  # noqa: ANN401 - what the tool declares
        """The arguments in the types that the tool declares; also of a call that may have run before."""
        if self._tool is None:
            self._check()
        return self._arguments

    @property
    def error(self) -> OutputInvalid | CallUncertain | None:
        error: OutputInvalid | CallUncertain | None = self._error
        return error

    @property
    def error_for_model(self) -> str:
        return "" if self.error is None else self.error.words_for_model

    def call_tool(self) -> Any:  # noqa: ANN401 - what the function returns
        """Call the tool's function with the arguments; return what it returns, which may be a generator."""
        self._check()
        return self._tool.run(self._arguments)

    def run(self, *, on_progress: Callable[[Any], object] | None = None) -> Any:  # noqa: ANN401 - as above
        """Call the tool's function with the arguments, and return its result; see `ToolCall.run`.

        With a store, a call that has run before is not run again: its stored result is returned, as JSON
        values. In an `AsyncStream`, the result is then awaited: `await call.run()`.
        """
        self._check()
        # A tool that is declared by a type has no function: its `run` raises an error that says so. Only a
        # result that the application has stored before, with `finish` or `fail`, can be returned.
        is_for_application = isinstance(self._tool, TypeTool) and (
            self.state is None or self.state.status == "new"
        )
        if self._run is None or is_for_application:
            return self._run_tool(on_progress)
        return self._do(self._run.run(lambda: self._run_tool(on_progress)))

    def _run_tool(self, on_progress: Callable[[Any], object] | None) -> Any:  # noqa: ANN401 - as above
        """Call the tool's function, and return its result; in an `AsyncStream`, maybe an awaitable of it."""

        def show(output: object) -> None:
            """Show a value; what the caller's function returns is not awaited."""
            if on_progress is not None:
                on_progress(output)

        value = finish_call(self._tool.run(self._arguments), show)
        if self._may_await:
            return finish_later(value, show) if needs_await(value) else value
        if is_async_generator(value):
            raise make_async_error(self.name)
        return value

    @property
    def state(self) -> CallState | None:
        state: CallState | None = None if self._run is None else self._run.state
        return state

    def finish(self, result: object) -> Any:  # noqa: ANN401 - None, or an awaitable of None
        if self._run is None:
            return super().finish(result)
        self._run.check_new()
        return self._do(self._run.finish(result))

    def fail(self, error: BaseException | str) -> Any:  # noqa: ANN401 - None, or an awaitable of None
        if self._run is None:
            return super().fail(error)
        self._run.check_new()
        return self._do(self._run.fail(error))

    def _check(self) -> None:
        """Raise the call's error, if there is one; each time with a traceback of its own."""
        error = self.error
        if error is not None:
            raise error.with_traceback(None)

    def __repr_name__(self) -> str:
        """Return the name that pydantic shows in the repr: that of the public class, `ToolCall`."""
        return ToolCall.__name__


class CallDraft(Generic[A_co, R_co]):  # noqa: PLW1641 - it compares by a draft, which has no hash
    """A tool call so far: a snapshot that never changes.

    `stream.tool_partials` returns a draft for each piece of each call. The last draft of
    a call also has the call itself, as in `stream.validated_calls`.

    Example:
        >>> from tokenstream import Stream
        >>> call = {"function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
        >>> chunk = {"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "stop"}]}
        >>> def get_weather(city: str) -> str:
        ...     return f"sun in {city}"
        >>> for drafted in Stream([chunk], format="openai-chat").tool_partials(get_weather):
        ...     print(drafted.name, drafted.draft.get("city", default="…"), drafted.complete)
        get_weather … False
        get_weather Oslo False
        get_weather Oslo True
        >>> drafted.call.run()
        'sun in Oslo'
    """

    __match_args__ = ("name", "draft")

    def __init__(
        self, id: str, name: str, index: int, draft: Partial[A_co], call: ToolCall[A_co, R_co] | None = None
    ) -> None:
        self.id = id
        """The call's id."""
        self.name = name
        """The tool's name."""
        self.index = index
        """The call's index in `message.tool_calls`."""
        self.draft = draft
        """The arguments so far."""
        self.call = call
        """The call with its arguments checked; None while the call is still being written."""

    @property
    def complete(self) -> bool:
        """True once the call is whole; a call that was cut off never is."""
        return self.call is not None and self.call.complete

    @property
    def error(self) -> OutputInvalid | CallUncertain | None:
        """The reason why the finished call cannot be run; None if it can, or is still being written."""
        return None if self.call is None else self.call.error

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs that were made in the arguments so far, if they are read with `lenient`."""
        return self.draft.repairs

    def final(self) -> A_co:
        """Return the checked arguments, which are the same as `call.arguments`.

        Raises:
            OutputIncomplete: The call has not ended.
            OutputInvalid: The arguments do not fit the tool's declaration; `InvalidJSON` if they are no JSON.
        """
        if self.call is not None:
            return self.call.arguments
        raise OutputIncomplete(
            f"tool call {self.id!r} has not ended; its arguments so far are in .best",
            text="",
            best=self.draft,
        )

    def _make_comparison_key(self) -> tuple[Any, ...]:
        call = self.call
        ended = None if call is None else (call.arguments_text, call.complete, type(call.error))
        return self.id, self.name, self.index, self.draft, ended

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CallDraft):
            return NotImplemented
        return self._make_comparison_key() == other._make_comparison_key()

    def __repr__(self) -> str:
        ended = "" if self.call is None else ", complete" if self.complete else ", ended"
        return f"<CallDraft {self.index} {self.name!r} {self.draft!r}{ended}>"


class CallPartials:
    """Reads the arguments of one call as they are written; a stage that turns their text into drafts.

    Args:
        tool: The tool; None for an unknown tool, whose arguments may be anything.
        is_free_text: True if the arguments are free text, which becomes the tool's first argument.
        lenient: True to read almost-JSON.
    """

    def __init__(self, tool: Tool | None, *, is_free_text: bool = False, lenient: Lenient = False) -> None:
        self._lenient: Lenient = False if is_free_text else lenient
        self._choose_schema: Callable[[str], Schema[Any] | None] | None = None
        """Chooses the schema by the start of the arguments; None once the schema is chosen."""
        self._undecided = TextLog()
        """The text that arrived before the schema was chosen."""
        self._first_key: _FirstKey | None = None
        """Finds the first key in almost-JSON if the choice of the schema depends on it, otherwise None."""
        self._free_text_frame: tuple[str, str] | None = None
        """The JSON to pass on before and after free text; None if the arguments are JSON themselves."""
        if tool is None:
            # An unknown tool: its arguments may be any JSON value.
            anything: Any = Any
            self._partials: Partials[Any] = Partials(anything)
            return
        self._partials = Partials(tool.schema, lenient=self._lenient)
        if is_free_text:
            # Split the JSON of an empty text between its two quotes.
            start, _, end = tool.as_json("").rpartition('""')
            self._free_text_frame = f'{start}"', f'"{end}'
        else:
            self._choose_schema = tool.schema_of
            if self._lenient and tool.schema_of("") is None:
                self._first_key = _FirstKey(self._lenient)

    @property
    def complete(self) -> bool:
        """True once the JSON is finished: only white space may follow."""
        return self._partials.complete

    @property
    def error(self) -> Exception | None:
        """The failure in reading the arguments; None while there is none."""
        return self._partials.error

    @property
    def stop(self) -> str | None:
        """Always None: an invalid call does not stop the reading of other calls."""
        return None

    @property
    def repairs(self) -> tuple[Repair, ...]:
        return self._partials.repairs

    def partial(self) -> Partial[Any]:
        return self._partials.partial()

    def feed(self, text: str) -> list[Partial[Any]]:
        """Return a snapshot if a piece of the arguments changes what is visible."""
        if self._free_text_frame is not None:
            # Free text is read as the JSON of a string: the frame is the JSON before and after the text, of
            # which `start` is needed only once. The slice removes the quotes of this piece.
            start, end = self._free_text_frame
            self._free_text_frame = "", end
            return self._partials.feed(start + json.dumps(text)[1:-1])
        if self._choose_schema is not None:
            # Text is held until its start decides which schema applies.
            self._undecided.append(text)
            first_key = self._first_key
            start = self._undecided.join() if first_key is None else first_key.feed(text)
            schema = self._choose_schema(start)
            if schema is None:
                return []
            self._partials, self._choose_schema = Partials(schema, lenient=self._lenient), None
            text, self._undecided = self._undecided.join(), TextLog()
        return self._partials.feed(text)

    def end(self) -> list[Partial[Any]]:
        """Signal the end of the call; return the last snapshots."""
        # No start of the arguments has decided the schema: the held text is read with the usual one.
        undecided, self._undecided, self._choose_schema = self._undecided.join(), TextLog(), None
        if self._free_text_frame is not None:
            # The rest of the JSON around the free text; all of it, if no text has arrived.
            undecided = "".join(self._free_text_frame)
        return [*self._partials.feed(undecided), *self._partials.end()]


class _FirstKey:
    """Finds the first key in almost-JSON arguments, by which the schema of the arguments is chosen.

    Almost-JSON may begin with prose or a code fence, or have other quotes, so it is read by a parser.
    """

    def __init__(self, lenient: Lenient) -> None:
        self._parser = PartialJSONParser(lenient=lenient)

    def feed(self, text: str) -> str:
        """Return the start of the document as strict JSON; "" before its first key, "[" if it has none."""
        for event in self._parser.feed(text):
            if isinstance(event, ValueStart):
                if event.path:
                    return "{" + json.dumps(event.key, ensure_ascii=False)
                if event.kind != "object":
                    return "["
        return "" if self._parser.error is None else "["
