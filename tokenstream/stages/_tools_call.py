"""A tool call whose arguments were checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from tokenstream.message import ToolCall

if TYPE_CHECKING:
    from typing import Self

    from tokenstream.errors import OutputInvalid
    from tokenstream.stages._tools_kinds import Tool

__all__ = ["CheckedCall"]


class CheckedCall(ToolCall[Any, Any]):
    """A tool call with its arguments as its tool declares them, or with what is wrong with them.

    It is a `ToolCall` to whoever gets it, with the same fields; the checked
    arguments stay beside them, and no JSON of the call holds them.
    """

    _arguments: Any = PrivateAttr(default=None)
    _tool: Any = PrivateAttr(default=None)
    _error: Any = PrivateAttr(default=None)
    _words: str = PrivateAttr(default="")

    @classmethod
    def valid(cls, call: ToolCall, arguments: Any, tool: Tool) -> Self:  # noqa: ANN401 - what the tool declares
        """Return a call that can be run."""
        checked = cls._of(call)
        checked._arguments = arguments  # noqa: SLF001 - of this class
        checked._tool = tool  # noqa: SLF001
        return checked

    @classmethod
    def invalid(cls, call: ToolCall, error: OutputInvalid, words: str) -> Self:
        """Return a call that cannot be run.

        Args:
            call: The call.
            error: What is wrong with it.
            words: The same for the model.
        """
        checked = cls._of(call)
        checked._error = error  # noqa: SLF001
        checked._words = words  # noqa: SLF001
        return checked

    @classmethod
    def _of(cls, call: ToolCall) -> Self:
        return cls.model_construct(call.model_fields_set, **dict(call))

    @property
    def arguments(self) -> Any:  # noqa: ANN401 - what the tool declares
        """The arguments as the tool declares them.

        Raises:
            OutputInvalid: They are not what it declares.
        """
        self._check()
        return self._arguments

    @property
    def error(self) -> OutputInvalid | None:
        """Why the call cannot be run; None where it can."""
        error: OutputInvalid | None = self._error
        return error

    @property
    def error_for_model(self) -> str:
        """What the model needs to hear to correct the call; "" where nothing is wrong."""
        return self._words

    def run(self) -> Any:  # noqa: ANN401 - what the function returns
        """Call the tool's function with the arguments, and return what it returns.

        Raises:
            OutputInvalid: The arguments are not what the tool declares.
        """
        self._check()
        return self._tool.run(self._arguments)

    def _check(self) -> None:
        error = self.error
        if error is not None:
            raise error.with_traceback(None)

    def __repr_name__(self) -> str:
        return ToolCall.__name__
