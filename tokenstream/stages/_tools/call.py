"""A tool call with validated arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from tokenstream.message import ToolCall

if TYPE_CHECKING:
    from typing import Self

    from tokenstream.errors import OutputInvalid
    from tokenstream.partial_json._repairs import Repair
    from tokenstream.stages._tools.kinds import Tool


class CheckedCall(ToolCall[Any, Any]):
    """A tool call with its arguments in the types that the tool declares, or with an error.

    Callers get it as a `ToolCall` with the same fields. The checked arguments are kept
    in private attributes, and are not part of the call's JSON.
    """

    _arguments: Any = PrivateAttr(default=None)
    _tool: Any = PrivateAttr(default=None)
    _error: Any = PrivateAttr(default=None)
    _repairs: Any = PrivateAttr(default=())

    @classmethod
    def of(cls, call: ToolCall, repairs: tuple[Repair, ...] = ()) -> Self:
        """Return a copy of a call; `accept` or `refuse` then adds the result of the check.

        Args:
            call: The call.
            repairs: The repairs that were made in the call's arguments.
        """
        return cls.model_construct(call.model_fields_set, **dict(call)).note_repairs(repairs)

    def note_repairs(self, repairs: tuple[Repair, ...]) -> Self:
        """Set the repairs that were made in the arguments, and return the call."""
        self._repairs = repairs
        return self

    def accept(self, arguments: Any, tool: Tool) -> Self:  # noqa: ANN401 - what the tool declares
        """Mark the call as valid, and return it.

        Args:
            arguments: The arguments with which to run the call.
            tool: The tool that runs the call.
        """
        self._arguments = arguments
        self._tool = tool
        return self

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
    def error(self) -> OutputInvalid | None:
        """The reason why the call cannot be run; None if the call can be run."""
        error: OutputInvalid | None = self._error
        return error

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs that were made in the arguments."""
        repairs: tuple[Repair, ...] = self._repairs
        return repairs

    @property
    def error_for_model(self) -> str:
        """A message with which the model can correct the call; "" if the call is valid."""
        return "" if self.error is None else self.error.words_for_model

    def run(self) -> Any:  # noqa: ANN401 - what the function returns
        """Call the tool's function with the arguments, and return its result.

        Raises:
            OutputInvalid: The arguments do not fit the tool's declaration.
        """
        self._check()
        return self._tool.run(self._arguments)

    def _check(self) -> None:
        """Raise the call's error, if there is one; each time with a traceback of its own."""
        error = self.error
        if error is not None:
            raise error.with_traceback(None)

    def __repr_name__(self) -> str:
        """Return the name that pydantic shows in the repr, that of the public class."""
        return ToolCall.__name__
