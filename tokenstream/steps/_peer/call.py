"""A request of the program to its peer, and the peer's answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tokenstream._basics.members import show_members
from tokenstream._basics.untrusted import is_dict
from tokenstream.errors import ProviderError, StreamTruncated

if TYPE_CHECKING:
    from tokenstream.errors import ErrorKind, StreamError

_SHOWN = 200
"""Number of characters of a peer's error message that an error quotes."""
_KINDS: dict[int, ErrorKind] = {
    -32700: "invalid_request",
    -32600: "invalid_request",
    -32601: "invalid_request",
    -32602: "invalid_request",
    -32603: "server",
    # Agents that speak ACP use it for a missing login.
    -32000: "authentication",
}
"""The kinds of the errors that JSON-RPC and ACP define, by their codes."""


@show_members
class PeerCall:
    """A request that `Peer.begin` has sent; it is answered while the peer's messages are read."""

    __slots__ = ("done", "error", "id", "method", "number", "result")

    def __init__(self, method: str, id: int) -> None:
        self.method = method
        """The method of the request."""
        self.id = id
        """The id of the request."""
        self.done = False
        """True once the answer has come, or the peer has closed its output."""
        self.result: Any = None
        """The result; None until it has come, and if the request has failed."""
        self.error: StreamError | None = None
        """The error with which the request has failed; None until then."""
        self.number = math.inf
        """The place of the answer among all that has come; infinite without one."""

    def __repr__(self) -> str:
        state = "waits" if not self.done else "failed" if self.error else "done"
        return f"<PeerCall {self.method}: {state}>"

    def settle(self, raw: dict[str, Any], number: int) -> None:
        """Store the peer's answer.

        Args:
            raw: The message.
            number: Its place among all that has come.
        """
        self.done, self.number = True, number
        error = raw.get("error")
        if error is None:
            self.result = raw.get("result")
            return
        fields = error if is_dict(error) else {"message": error}
        code = fields.get("code")
        self.error = ProviderError(
            f"the agent refuses {self.method}: {str(fields.get('message') or 'it gives no reason')[:_SHOWN]}",
            code=None if code is None else str(code),
            kind=_KINDS.get(code) if isinstance(code, int) else None,
            data=fields.get("data"),
        )

    def give_up(self) -> None:
        """Fail, because the peer has closed its output."""
        self.done = True
        self.error = StreamTruncated(f"the agent closed its output before it answered {self.method}")
