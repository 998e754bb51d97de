"""Framing of JSON-RPC: requests, notifications and answers, in lines or in SSE."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Literal, TypeAlias

from tokenstream._basics.json import decode
from tokenstream._basics.kept_errors import ErrorKeeper
from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream.errors import LimitExceeded, MisuseError, ProtocolError, StreamError
from tokenstream.framing._json_frames import JSONFrames
from tokenstream.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject

_MESSAGE = re.compile(rb"\s*(?:\[\s*)?\{")
"""The beginning of a message, or of a batch; all other lines are a log."""
RPCId: TypeAlias = int | str
"""The id of a request; both sides count their own, often from 0."""
RPCKind: TypeAlias = Literal["request", "notification", "answer", "unknown"]


class JSONRPCMessage:
    """A message of JSON-RPC 2.0; a missing `jsonrpc` is forgiven.

    A message with a method comes from the other side: a request if it has an id, else a notification. A
    message without a method answers the request of ours that has the same id.
    """

    def __init__(self, raw: JsonObject, size: int = 0) -> None:
        self.raw = raw
        """The message's object."""
        self.size = size
        """Number of bytes of the payload that held it."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.kind} {self.method or self.id!r}>"

    @property
    def kind(self) -> RPCKind:
        """The kind of the message; "unknown" if it has no method, no result and no error."""
        if isinstance(self.raw.get("method"), str):
            return "notification" if self.id is None else "request"
        return "answer" if "result" in self.raw or "error" in self.raw else "unknown"

    @property
    def method(self) -> str:
        """The method of a request or notification; "" for an answer."""
        method = self.raw.get("method")
        return method if isinstance(method, str) else ""

    @property
    def id(self) -> RPCId | None:
        """The id of a request, or of the request that is answered; None without a valid one."""
        id = self.raw.get("id")
        return id if isinstance(id, int | str) and not isinstance(id, bool) else None

    @property
    def params(self) -> Json:
        """The parameters: usually an object, perhaps an array; an empty object if there are none."""
        params = self.raw.get("params")
        return {} if params is None else params


class JSONRPCParser(ErrorKeeper):
    """Read the messages of JSON-RPC, wherever the chunks were cut.

    The messages are lines, or the data of server-sent events; the first message shows which. The messages of
    a batch are returned one by one. Lines that are not JSON, such as a log, are left out and counted.
    """

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._frames = JSONFrames(limits=limits)
        self._skipped = 0
        self.error: StreamError | None = None

    @property
    def skipped(self) -> int:
        """Number of lines that are not JSON-RPC, such as logs, and were left out."""
        return self._skipped + self._frames.banner_lines

    @property
    def tail(self) -> bytes:
        """The bytes of the unfinished message, at most `Limits.tail` of them."""
        return self._frames.tail

    def feed(self, chunk: bytes, *, now: float = 0.0) -> list[JSONRPCMessage]:
        if self.error is not None:
            return []
        messages = [message for payloads in self._frames.feed(chunk) for message in self._read(payloads)]
        if self.error is None:
            self.error = self._frames.error
        return messages

    def end(self, *, now: float = 0.0) -> list[JSONRPCMessage]:
        """End the input; return the last message, if only the end of its line is missing."""
        rest = self._frames.unfinished
        self._frames.end()
        return [] if self.error is not None else self._read(rest)

    def _read(self, payloads: list[bytes]) -> list[JSONRPCMessage]:
        """Return the messages in some payloads; stop with `error` set at a payload that exceeds a limit.

        A payload that is not JSON is skipped.
        """
        messages: list[JSONRPCMessage] = []
        for payload in payloads:
            if self.error is not None:
                break
            if not _MESSAGE.match(payload):
                self._skipped += 1
                continue
            try:
                value: object = decode(payload, self._limits)
            except ProtocolError as error:
                if isinstance(error, LimitExceeded):
                    self.error = error
                    break
                self._skipped += 1
                continue
            batch = value if is_list(value) else [value]
            objects = [each for each in batch if is_dict(each)]
            if not objects:
                self._skipped += 1
            # The size of a batch is counted once, with its first message.
            messages += [
                JSONRPCMessage(raw, size=len(payload) if index == 0 else 0)
                for index, raw in enumerate(objects)
            ]
        return messages


def encode_json_rpc(message: JsonObject) -> bytes:
    r"""Return the bytes of a message, which is a line."""
    try:
        text = json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise MisuseError(f"the parameters or the answer cannot be sent as JSON: {error}") from error
    return text.encode() + b"\n"
