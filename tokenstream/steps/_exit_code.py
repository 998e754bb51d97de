"""Asks for the exit code of an agent's process, for a few seconds at most; it never ends the process."""

from __future__ import annotations

import threading
from inspect import isawaitable, iscoroutinefunction, signature
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 5.0
"""Seconds to wait for an agent's process after its last line."""


class Exit(NamedTuple):
    """The end of an agent's process, as far as is known."""

    code: int | None = None
    """Its exit code; None if it is not known."""
    still_runs: bool = False
    """True if the process had not ended in time."""


def ask(exit_code: Any) -> Exit:  # noqa: ANN401 - a number or any function
    """Return the exit of a process that has closed its output.

    Args:
        exit_code: The code; or a function that returns it, such as `Popen.wait`, which gets a timeout.

    Raises:
        MisuseError: It is neither.
    """
    if not callable(exit_code):
        return _read(exit_code)
    if iscoroutinefunction(exit_code):
        raise MisuseError("exit_code= is asynchronous, but the agent's output is not: pass a plain function")
    from subprocess import TimeoutExpired

    try:
        if _takes_timeout(exit_code):
            return _read(exit_code(timeout=PATIENCE))
        return _call_in_thread(exit_code)
    except TimeoutExpired:
        return Exit(still_runs=True)


async def ask_async(exit_code: Any) -> Exit:  # noqa: ANN401 - a number or any function
    """Return the exit of a process that has closed its output; the code or function may be asynchronous.

    Raises:
        MisuseError: It is no code.
    """
    if not callable(exit_code):
        return _read(exit_code)
    from anyio import move_on_after, to_thread

    with move_on_after(PATIENCE):
        if iscoroutinefunction(exit_code):
            return _read(await exit_code())
        if _takes_timeout(exit_code):
            return await to_thread.run_sync(ask, exit_code, abandon_on_cancel=True)
        code = exit_code()
        return _read(await code if isawaitable(code) else code)
    return Exit(still_runs=True)


def _call_in_thread(function: Callable[[], object]) -> Exit:
    """Call a function that takes no time limit in a thread, which is left behind if it takes too long."""
    results: list[object] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=call, name="tokenstream exit code", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if errors:
        raise errors[0]
    return _read(results[0]) if results else Exit(still_runs=True)


def _read(code: object) -> Exit:
    """Return the exit for a code.

    Raises:
        MisuseError: It is no code.
    """
    if code is not None and (isinstance(code, bool) or not isinstance(code, int)):
        raise MisuseError(
            f"exit_code= is a number or a function that returns it, and not {type(code).__name__}"
        )
    return Exit(code)


def _takes_timeout(function: Any) -> bool:  # noqa: ANN401 - any function
    """Return True for a function with a parameter named `timeout`."""
    try:
        return "timeout" in signature(function).parameters
    except (TypeError, ValueError):
        return False
