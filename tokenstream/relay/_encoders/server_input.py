"""The input of a tool that the provider runs, as JSON: some providers send the bare code of a program."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenstream._basics.json import escape

if TYPE_CHECKING:
    from tokenstream.message import ServerToolCall

CODE_TOOL = "code_interpreter"
"""The name of OpenAI's tool whose input is the bare code of a program, which may look like JSON."""
_BEGINS_OBJECT = re.compile(r'\s*\{\s*["}]')
_UNDECIDED = re.compile(r"\s*(?:\{\s*)?")


class ServerInput:
    r"""Makes JSON of the input that a model writes for one call of a tool that the provider runs.

    An input that is a JSON object is passed on unchanged, piece by piece. Any other input is the bare code of
    a program, which is wrapped as the string in `{"code":"…"}`.

    Args:
        is_code: True if the input is known to be code; False to decide by the beginning of the input.

    Example:
        >>> code = ServerInput()
        >>> code.feed("print"), code.feed("('a\n')"), code.end()
        ('{"code":"print', "('a\\n')", '"}')
        >>> query = ServerInput()
        >>> query.feed("{"), query.feed('"query":"Oslo"}'), query.end()
        ('', '{"query":"Oslo"}', '')
    """

    def __init__(self, *, is_code: bool = False) -> None:
        self._held: str | None = ""
        """The text from the beginning, while it may be JSON or not; None once that is decided."""
        self._is_code = is_code

    @property
    def is_empty(self) -> bool:
        """True while no text has come."""
        return self._held == ""

    def feed(self, text: str) -> str:
        """Return the JSON to send for a piece of the input.

        The result is "" while the start of the input may be that of an object or of code: it is held back.
        """
        if not text:
            return ""
        if self._held is None:
            # The kind of input is decided, and its start was sent.
            return escape(text) if self._is_code else text
        self._held += text
        if not self._is_code and _UNDECIDED.fullmatch(self._held):
            return ""
        return self._decide(is_code=self._is_code or _BEGINS_OBJECT.match(self._held) is None)

    def end(self) -> str:
        """Return the rest of the input: a start that is still held, and the end of a code's JSON."""
        # A start that could still become an object counts as code, now that nothing follows.
        rest = self._decide(is_code=True) if self._held and self._held.strip() else ""
        return rest + ('"}' if self._held is None and self._is_code else "")

    def _decide(self, *, is_code: bool) -> str:
        """Record the kind of the input, and return its start, which was held back, as JSON."""
        held, self._held, self._is_code = self._held or "", None, is_code
        return '{"code":"' + escape(held) if is_code else held


def complete_input(call: ServerToolCall) -> str:
    """Return the whole input of a call as JSON.

    Example:
        >>> from tokenstream.message import ServerToolCall
        >>> complete_input(ServerToolCall(name="code_interpreter", arguments_text="1 + 1"))
        '{"code":"1 + 1"}'
    """
    server_input = ServerInput(is_code=call.name.startswith(CODE_TOOL))
    return server_input.feed(call.arguments_text) + server_input.end()
