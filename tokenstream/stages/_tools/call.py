"""A tool call with validated arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from tokenstream._basics.call_keys import place_of, set_place
from tokenstream.errors import MisuseError
from tokenstream.message import ToolCall
from tokenstream.partial_json._repairs import set_repairs
from tokenstream.stages._tools.generators import finish_call, finish_later, is_async_generator, needs_await
from tokenstream.stages._tools.kinds import TypeTool

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Self

    from tokenstream._basics.call_keys import Describe
    from tokenstream.errors import CallUncertain, OutputInvalid
    from tokenstream.partial_json._repairs import Repair
    from tokenstream.stages._tools.kinds import Tool
    from tokenstream.stages._tools.once import CallRun, Step
    from tokenstream.stages._tools.same_calls import SameCalls
    from tokenstream.stages._tools.store import CallState


def make_async_error(name: str) -> MisuseError:
    """Return the error for an asynchronous tool of a `Stream`, which cannot await it.

    Args:
        name: The name of the tool.
    """
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
    _describe: Any = PrivateAttr(default=None)
    _error: Any = PrivateAttr(default=None)
    _run: Any = PrivateAttr(default=None)
    _do: Any = PrivateAttr(default=None)
    _may_await: bool = PrivateAttr(default=True)

    @classmethod
    def of(cls, call: ToolCall, repairs: tuple[Repair, ...] = ()) -> Self:
        """Return a copy of a call; `accept` or `refuse` then adds the result of the check.

        Args:
            repairs: The repairs that were made in the call's arguments.
        """
        checked = cls.model_construct(call.model_fields_set, **dict(call))
        set_repairs(checked, (*call.repairs, *repairs))
        set_place(checked, place_of(call))
        return checked

    def accept(self, arguments: object, tool: Tool, describe: Describe, *, may_await: bool = True) -> Self:
        """Mark the call as valid, and return it.

        Args:
            arguments: The arguments with which to run the call.
            tool: The tool that runs the call.
            describe: Describes this call, and the others of its answer, for stores of calls.
            may_await: False in a `Stream`, where nothing can be awaited.
        """
        self._arguments = arguments
        self._tool = tool
        self._describe = describe
        self._may_await = may_await
        return self

    def find_store_key(self) -> str:
        """Return the key under which stores remember the call: the same one for equal arguments.

        Unlike `key`, it is made of the validated arguments. Both are the same if the model has written the
        arguments as they are, without a default.
        """
        place = place_of(self)
        return self.key if place is None or self._describe is None else place.find_key_as(self._describe)

    def compare(self, same_calls: SameCalls) -> Generator[Step, Any, None]:
        """Compare this call and those before it with the first answer under the same id.

        Args:
            same_calls: Compares the calls of the answer.
        """
        place = place_of(self)
        if place is not None and place.calls is not None and place.identity.kind != "random":
            yield from same_calls.check(place.calls, place.number + 1, self._describe)

    def enter(self, run: CallRun) -> Generator[Step, Any, object]:
        """Return what the stream does at a store of calls (the option `once`) before it returns this call.

        If the tool is a function, the call is only looked up: it begins when the application calls `run`. If
        the tool is a type, the call begins now, because the application may act on it as soon as it has it.

        Args:
            run: Runs the call at most once, by means of the store.

        Returns:
            The steps, which may block; the stream takes each of them, and awaits it if it is async.
        """
        return run.begin() if isinstance(self._tool, TypeTool) else run.look()

    def join_store(self, run: CallRun, do: Callable[[Any], Any]) -> None:
        """Let the methods `run`, `finish` and `fail` of this call use a store, which remembers calls.

        Args:
            run: Runs the call at most once, and knows the call's state at the store.
            do: Takes all the steps that a generator of `run` yields, and returns its result; an awaitable of
                it in an `AsyncStream`.
        """
        self._run, self._do = run, do
        self._error = run.make_error(run.state)

    def refuse(self, error: OutputInvalid, words: str) -> Self:
        """Mark the call as a call that cannot be run, and return it.

        Args:
            error: The error in the call.
            words: A description of the same error for the model.
        """
        error.words_for_model = words
        self._error = error
        return self

    @property
    def arguments(self) -> Any:  # noqa: ANN401 - what the tool declares
        """The arguments in the types that the tool declares.

        Raises:
            OutputInvalid: The arguments do not fit the tool's declaration.
        """
        self._check()
        return self._arguments

    @property
    def error(self) -> OutputInvalid | CallUncertain | None:
        """The reason why the call cannot be run; None if the call can be run."""
        error: OutputInvalid | CallUncertain | None = self._error
        return error

    @property
    def error_for_model(self) -> str:
        """A message with which the model can correct the call; "" if the call is valid."""
        return "" if self.error is None else self.error.words_for_model

    def call_tool(self) -> Any:  # noqa: ANN401 - what the function returns
        """Call the tool's function with the arguments; return what it returns, which may be a generator."""
        self._check()
        return self._tool.run(self._arguments)

    def run(self, *, on_progress: Callable[[Any], object] | None = None) -> Any:  # noqa: ANN401 - as above
        """Call the tool's function with the arguments, and return its result; see `ToolCall.run`.

        With a store, a call that has run before is not run again: its stored result is returned, as JSON
        values. In an `AsyncStream`, the result is then awaited: `await call.run()`.

        Raises:
            OutputInvalid: The arguments do not fit the tool's declaration.
            CallUncertain: Nobody knows whether the call has run.
            ToolFailed: The call has failed before.
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
        """The state of the call in the store of calls (the option `once`); None without a store."""
        state: CallState | None = None if self._run is None else self._run.state
        return state

    def finish(self, result: object) -> Any:  # noqa: ANN401 - None, or an awaitable of None
        """Store the result of a call that the application has run itself."""
        if self._run is None:
            return super().finish(result)
        self._run.check_new()
        return self._do(self._run.finish(result))

    def fail(self, error: BaseException | str) -> Any:  # noqa: ANN401 - None, or an awaitable of None
        """Store the failure of a call that the application has run itself."""
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
