"""Input for a model or an agent while it works, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from tokenstream.errors import ProviderError

SteerState: TypeAlias = Literal["sent", "accepted", "pending", "applied", "refused", "lost"]
"""The fate of input for an answer in progress; see `Steer.state`."""


class Steer:
    """Input that was sent with `session.steer` for an answer in progress, or with `run.steer` for an agent.

    Its `state` changes while the answer or the run is read, as the other side tells what has become of it.

    Args:
        target: The id of the response, or of the agent's turn, that it steers; None if none was in progress.

    Example:
        >>> from tokenstream import Session, testing
        >>> from websockets.sync.client import connect
        >>> with testing.serve([testing.script().text("Once upon.").finish()], sessions=True) as server:
        ...     url = f"{server.ws_url}/v1/responses"
        ...     with Session(lambda: connect(url), model="gpt-5.1") as session:
        ...         with session.ask("Tell me a story.") as answer:
        ...             begun = next(iter(answer.text))
        ...             steer = session.steer("Make it about a cat.")
        ...             message = answer.final()
        >>> steer.state, steer.is_settled  # This server steers nothing.
        ('refused', True)
    """

    __slots__ = ("error", "id", "response_id", "state", "target")

    def __init__(self, target: str | None) -> None:
        self.target = target
        """The id of the response, or of the agent's turn, that it steers; None if it is not known."""
        self.state: SteerState = "sent"
        """The state: "sent"; "accepted" by the server; "pending" until the results of tools are sent, with
        which it is applied; "applied"; "refused", see `error`; "lost" if nobody knows what became of it.
        """
        self.id: str | None = None
        """The id of the input; None before it is accepted, and for agents that give it none."""
        self.response_id: str | None = None
        """The id of the response from whose beginning on the input is applied; None if it is not known."""
        self.error: ProviderError | None = None
        """The reason to refuse the input; None if it was not refused."""

    @property
    def is_settled(self) -> bool:
        """True once the answer need not wait for the server to say more about the input."""
        return self.state not in ("sent", "accepted")

    def __repr__(self) -> str:
        return f"<Steer of {self.target}, {self.state}>"
