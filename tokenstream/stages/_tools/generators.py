"""The outcome of a tool: a failure for the model, or a generator's progress to show and result at its end.

the tool yields ──▶ progress, shown at once ──▶ … ──▶ the tool returns ──▶ the result, for the model
                          │
                          └─ (stopped) ─▶ the generator is closed, and there is no result
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import suppress
from inspect import isasyncgenfunction
from typing import Any, Literal, TypeAlias, TypeGuard, get_args

from tokenstream._basics.elsewhere import is_awaitable
from tokenstream._basics.error_marks import message_of
from tokenstream.errors import MisuseError

ResultOf: TypeAlias = Literal["return", "last"]
"""The place of the result of a generator's call: its return value, or the last value it yields."""


class ToolFailed(Exception):
    """Raised by a tool to report a failure to the model; the run goes on.

    The exception's text becomes the result of the call, and the call's id is added to
    `ToolResults.errors`. Any other exception that a tool raises ends the run.

    Example:
        >>> from tokenstream import Router
        >>> @Router().tool
        ... def get_weather(city: str) -> str:
        ...     raise ToolFailed(f"There is no station in {city}. Ask for a larger city.")
    """


class ToolStopped(BaseException):
    """Ends a generator that is still running when its stream is stopped or closed, or a handler has failed.

    Not an `Exception`, so that it is no failure of the tool: a store of calls does not know how far the tool
    has come, and a step is stopped.

    Args:
        error: The error of the handler; None if the stream was stopped or closed.
    """

    def __init__(self, error: BaseException | None = None) -> None:
        super().__init__("the tool was stopped while it was running")
        self.error = error


def check_result_of(value: object) -> None:
    if value not in get_args(ResultOf):
        raise MisuseError(f'result= takes "return" or "last", the last value that it yields, not {value!r}')


def makes_async_generator(function: Callable[..., Any]) -> bool:
    return isasyncgenfunction(function) or isasyncgenfunction(type(function).__call__)


def is_generator(value: object) -> TypeGuard[Generator[Any, Any, Any]]:
    """Return True for a generator, unless it is awaited, as those of `types.coroutine` are."""
    return not is_awaitable(value) and isinstance(value, Generator)


def is_async_generator(value: object) -> TypeGuard[AsyncGenerator[Any, Any]]:
    return isinstance(value, AsyncGenerator)


def run_generator(
    generator: Generator[Any, Any, Any], show: Callable[[Any], object], result: ResultOf = "return"
) -> Any:  # noqa: ANN401 - what the generator returns
    """Run a generator to its end, and return its result; it is closed if anything ends it early.

    An exception that it raises while it is closed is a note on the error that has ended it.

    Example:
        >>> def count():
        ...     yield 1
        ...     yield 2
        ...     return "done"
        >>> run_generator(count(), print)
        1
        2
        'done'
    """
    last: Any = None
    try:
        while True:
            try:
                last = next(generator)
            except StopIteration as end:
                return last if result == "last" else end.value
            show(last)
    except BaseException as error:
        try:
            generator.close()
        except Exception as failure:  # noqa: BLE001 - the error before is the one to raise
            _note_failure(error, failure)
        except BaseException as failure:
            # Such as Ctrl-C, which ends a tool that was only stopped, but not in place of a handler's error.
            if not isinstance(error, ToolStopped) or error.error is None:
                raise
            _note_failure(error, failure)
        raise


async def run_async_generator(
    generator: AsyncGenerator[Any, Any], show: Callable[[Any], Awaitable[object] | None]
) -> Any:  # noqa: ANN401 - what the generator yields
    """Run an async generator to its end, and return the last value that it has yielded; None without any."""
    last: Any = None
    async for last in generator:
        try:
            waiting = show(last)
            if waiting is not None:
                await waiting
        except GeneratorExit:
            # The event loop has dropped this task, which cannot wait; the loop closes the generator itself.
            raise
        except BaseException as error:
            try:
                await generator.aclose()
            except Exception as failure:  # noqa: BLE001 - the error before is the one to raise
                _note_failure(error, failure)
            raise
    return last


def _note_failure(error: BaseException, failure: BaseException) -> None:
    """Add a note about what a generator has raised while it was closed to the error that has closed it."""
    noted = error.error if isinstance(error, ToolStopped) and error.error is not None else error
    name = type(failure).__name__
    # An exception that is a frozen dataclass takes no notes.
    with suppress(AttributeError):
        noted.add_note(f"while the tool was closed, {name} was raised: {message_of(failure)}")


def needs_await(value: object) -> bool:
    """Return True for what a tool has returned if its result has to be awaited."""
    return is_awaitable(value) or is_async_generator(value)


def finish_call(value: Any, show: Callable[[Any], object], result: ResultOf = "return") -> Any:  # noqa: ANN401 - as the tool returns it
    """Return a tool's result: run a generator to its end, and leave what `needs_await` to `finish_later`."""
    return run_generator(value, show, result) if is_generator(value) else value


async def finish_later(
    value: Any,  # noqa: ANN401 - as the tool returns it
    show: Callable[[Any], Awaitable[object] | None],
    finish: Callable[[Any], Awaitable[object]] | None = None,
) -> Any:  # noqa: ANN401 - as the tool returns it
    """Return the result of a tool that `needs_await`: an awaitable of it, which may be of a generator."""
    if is_awaitable(value):
        value = await value
    if is_async_generator(value):
        return await run_async_generator(value, show)
    if finish is not None and is_generator(value):
        return await finish(value)
    return finish_call(value, show)
