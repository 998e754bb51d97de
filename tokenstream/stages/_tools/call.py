"""A tool call whose arguments were checked."""

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
    """A tool call with its arguments as its tool declares them, or with what is wrong with them.

    It is a `ToolCall` to whoever gets it, with the same fields; the checked
    arguments stay beside them, and no JSON of the call holds them.
    """

    _arguments: Any = PrivateAttr(default=None)
    _tool: Any = PrivateAttr(default=None)
    _error: Any = PrivateAttr(default=None)
    _repairs: Any = PrivateAttr(default=())

    @classmethod
    def of(cls, call: ToolCall, repairs: tuple[Repair, ...] = ()) -> Self:
        """Return a copy of a call, to be accepted or refused.

        Args:
            call: The call.
            repairs: What was repaired in its arguments.
        """
        return cls.model_construct(call.model_fields_set, **dict(call)).mended(repairs)

    def mended(self, repairs: tuple[Repair, ...]) -> Self:
        """Say what was repaired in its arguments, and return it."""
        self._repairs = repairs
        return self

    def accept(self, arguments: Any, tool: Tool) -> Self:  # noqa: ANN401 - what the tool declares
        """Have the call run with these arguments, and return it."""
        self._arguments = arguments
        self._tool = tool
        return self

    def refuse(self, error: OutputInvalid, words: str) -> Self:
        """Say that the call cannot be run, and return it.

        Args:
            error: What is wrong with it.
            words: The same for the model.
        """
        error.words_for_model = words
        self._error = error
        return self

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
    def repairs(self) -> tuple[Repair, ...]:
        """Repairs made in the arguments."""
        repairs: tuple[Repair, ...] = self._repairs
        return repairs

    @property
    def error_for_model(self) -> str:
        """What the model needs to hear to correct the call; "" where nothing is wrong."""
        return "" if self.error is None else self.error.words_for_model

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
