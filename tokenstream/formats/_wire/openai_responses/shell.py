"""Shell calls of the Responses API: the commands, and the output of commands that OpenAI runs.

The events are `ResponseShellCallCommand…Event` and `ResponseShellCallOutputContent…Event` of openai-python,
https://github.com/openai/openai-python/tree/main/src/openai/types/responses.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from typing_extensions import override

from tokenstream._basics.json import escape
from tokenstream._basics.text_log import TextLog
from tokenstream._basics.untrusted import is_dict, says_nothing, text_of
from tokenstream.errors import LimitExceeded
from tokenstream.formats._wire.openai_responses.calls import CallItem
from tokenstream.formats._wire.openai_responses.item import HostedItem, ResponseItem, ResultItem

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.open import OpenCall, OpenPart
    from tokenstream.limits import Limits


class ShellCommands:
    """Writes the action of a shell call as JSON text while its commands arrive.

    The commands are a list in the JSON, so only the first command that has not ended can grow;
    pieces of later commands are held back until then.

    Args:
        limits: The bounds on the pieces that are held back.

    Example:
        >>> from tokenstream.limits import Limits
        >>> commands = ShellCommands(Limits())
        >>> commands.add(0, "l"), commands.add(1, "pwd"), commands.end(0, "ls")
        ('{"commands": ["l', '', 's", "pwd')
        >>> commands.end(1, "pwd"), commands.complete({"timeout_ms": 9, "commands": ["ls", "pwd"]})
        ('"', '{"commands": ["ls", "pwd"], "timeout_ms": 9}')
    """

    __slots__ = (
        "_current",
        "_ended",
        "_held",
        "_held_length",
        "_is_open",
        "_max_commands",
        "_max_text",
        "_number",
        "_written",
    )

    def __init__(self, limits: Limits) -> None:
        # A saved state has numbers, and no object with limits.
        self._max_text, self._max_commands = limits.text, limits.parts
        self._written = TextLog()
        """The JSON text so far."""
        # The command that is being written: the first one that has not ended.
        self._number = 0
        """The index of the command that is being written."""
        self._is_open = False
        """True once the opening quote of the current command has been written."""
        self._current = TextLog()
        """The text of the current command so far."""
        # Later commands, which are held back until the current one has ended.
        self._held: dict[int, list[str]] = {}
        """The pieces of each later command, by its index."""
        self._ended: dict[int, str] = {}
        """The whole text of each later command whose end has arrived, too, by its index."""
        self._held_length = 0
        """Number of characters in `_held` and `_ended`."""

    def write(self, number: int | None, text: str, *, whole: bool) -> str:
        """Return the JSON text to append for a piece of a command, or, if `whole`, for all of its text."""
        return self.end(number, text) if whole else self.add(number, text)

    def add(self, number: int | None, text: str) -> str:
        """Return the JSON text to append for a piece of a command (None: the last); "" while it is held."""
        if number is None or number == self._number:
            return self._write(text)
        # A piece of an earlier command is dropped, since that command has ended.
        if number > self._number and text:
            self._held.setdefault(number, []).append(text)
            self._hold(text)
        return ""

    def end(self, number: int | None, text: str) -> str:
        """Return the JSON text to append at the end of a command; "" if an earlier command has not ended.

        The text includes what was held back of the commands after it, up to the first that has not ended.
        """
        if number is not None and number != self._number:
            if number > self._number:
                self._ended[number] = text
                self._hold(text)
            return ""
        json_text = self._end_current(text)
        # `_end_current` has gone on to the next command. Write what was held back of it: its pieces
        # (`_held`), and also its end, if that has arrived (`_ended`), after which the next one is current.
        while self._number in self._held or self._number in self._ended:
            json_text += "".join(map(self._write, self._held.pop(self._number, ())))
            if self._number not in self._ended:
                # This command has not ended, so it stays the current one, and can grow.
                break
            json_text += self._end_current(self._ended.pop(self._number))
        return json_text

    def complete(self, action: object) -> str:
        """Return the JSON text of a whole action, at the end of its call.

        It begins with the text so far, unless the pieces of a command differ from the whole command.
        """
        if is_dict(action) and not says_nothing(action.get("commands")):
            # The commands are put first, as they are in the text so far.
            return json.dumps({"commands": action["commands"], **action}, ensure_ascii=False)
        # The item has no commands: close the text so far.
        return self._written.join() + ('"]}' if self._is_open else "]}")

    @property
    def written(self) -> str:
        return self._written.join()

    def _end_current(self, whole: str) -> str:
        """Return the JSON text for the rest of the current command and its end; go on to the next command."""
        current = self._current.join()
        # If the pieces differ from the whole command, they stay; `complete` has the right text at the end.
        json_text = self._write(whole[len(current) :] if whole.startswith(current) else "")
        self._written.append('"')
        self._is_open, self._current = False, TextLog()
        self._number += 1
        return json_text + '"'

    def _write(self, text: str) -> str:
        """Return the JSON text to append for a piece of the current command, and record it as written."""
        opening = ""
        if not self._is_open:
            opening = '{"commands": ["' if self._number == 0 else ', "'
        self._is_open = True
        self._current.append(text)
        # Without the quotes: the opening has the first one, and `_end_current` adds the last.
        json_text = opening + escape(text)
        self._written.append(json_text)
        return json_text

    def _hold(self, text: str) -> None:
        """Count the characters of `text`, which is held back, against the limits."""
        self._held_length += len(text)
        if self._held_length > self._max_text:
            raise LimitExceeded(limit="text", value=self._max_text)
        if len(self._held) + len(self._ended) > self._max_commands:
            raise LimitExceeded(limit="parts", value=self._max_commands)


class _ShellItem(ResponseItem):
    """A shell call, whose input is the JSON of an object with all commands, and grows as they arrive."""

    __slots__ = ()

    @override
    def write_command(self, number: int | None, text: str, *, whole: bool) -> bool:
        if self.ended and self.call is None:
            self.parts.note("call_after_done")
            return True
        self.commands = self.commands or ShellCommands(self.parts.limits)
        return self.add_input("arguments", self.commands.write(number, text, whole=whole))


class ShellCallItem(_ShellItem, CallItem):
    """A shell call that the application runs."""

    __slots__ = ()

    @override
    def read_arguments(self, call: OpenCall, arguments: object) -> None:
        if self.commands is not None:
            arguments, self.commands = self.commands.complete(arguments), None
        super().read_arguments(call, arguments)


class HostedShellItem(_ShellItem, HostedItem):
    """A shell call that the provider runs in a container."""

    __slots__ = ()

    @override
    def add_missing_content(self, part: OpenPart, item: JsonObject) -> None:
        if self.commands is not None:
            # The JSON text of the whole action, and what events about commands have added of it.
            text, written = self.commands.complete(item.get("action")), self.commands.written
            self.commands = None
            if text.startswith(written):
                self.parts.add(part, text[len(written) :])
            else:
                # No event can take the written text back, but the end of the part has the right one.
                self.parts.note("arguments_rewritten")
                final = {"arguments_text": text, "complete": True}
                self.parts.close(part, self.make_part(item).model_copy(update=final))
        super().add_missing_content(part, item)


class ShellOutputItem(ResultItem):
    """The output of commands in a container, which grows as text; the finished item replaces the text.

    Standard output and errors are added in the order in which they arrive, as in a terminal.
    """

    __slots__ = ("_lengths", "_outputs")

    def _set_up(self) -> None:
        super()._set_up()
        self._lengths: dict[tuple[int, str], int] = {}
        """Number of characters added, by the command's index and the name of the stream."""
        self._outputs: dict[int, list[JsonObject]] = {}
        """The whole output of each command that has ended, by the command's index."""

    def add_output(self, number: int, streams: JsonObject) -> bool:
        """Add pieces of output by the names of their streams, "stdout" or "stderr"; return False for none."""
        if self.ended:
            return True
        pieces = {name: text for name in _STREAMS if (text := text_of(streams, name))}
        for name, text in pieces.items():
            self._lengths[number, name] = self._lengths.get((number, name), 0) + len(text)
            self.parts.add(self._part, text)
        return bool(pieces)

    def end_output(self, number: int, output: list[JsonObject]) -> None:
        """Add the rest of a command's output; keep all of it, with its exit code, for the item's end."""
        if self.ended:
            return
        for name in _STREAMS:
            whole = "".join(text_of(entry, name) or "" for entry in output)
            if missing := whole[self._lengths.get((number, name), 0) :]:
                self.add_output(number, {name: missing})
        self._outputs[number] = output

    def read_item(self, item: JsonObject, *, complete: bool) -> None:
        """Report the output in the item or, if a finished one has none, that of its commands' events."""
        if complete and self._outputs:
            outputs, self._outputs = self._outputs, {}
            if says_nothing(item.get("output")):
                item = {**item, "output": [entry for number in sorted(outputs) for entry in outputs[number]]}
        super().read_item(item, complete=complete)

    def close(self, *, complete: bool) -> None:
        """Close the part; if the item has no end event, first report the output of its ended commands."""
        if self._outputs and not self.ended:
            self.read_item(self._data, complete=True)
        else:
            super().close(complete=complete)


_STREAMS = ("stdout", "stderr")
