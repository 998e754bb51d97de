"""What a client of others gives for an answer, in plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ClientAnswer:
    """What a client gives, from its objects and its events."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[list[Any]] = field(default_factory=list)
    """The id, the name and the arguments, as JSON or text, of each call of the application's tools."""
    end: str | None = None
    """The client's word for the reason of the end."""
    ran: list[list[Any]] = field(default_factory=list)
    """The same of each call that the provider ran."""
    results: list[list[Any]] = field(default_factory=list)
    """The id of the call, and the output of each tool."""
    citations: list[list[str | None]] = field(default_factory=list)
    """The URL and the title of each source."""
    media: list[str] = field(default_factory=list)
    """The URL of each image, sound and file, or its content as a `data:` URL."""
    transcript: str = ""
    """The words of audio."""
    proofs: list[str | None] = field(default_factory=list)
    """The signature or the encrypted form of each reasoning."""
    choices: dict[str, ClientAnswer] = field(default_factory=dict)
    """What each further choice has, by its index."""
    counts: dict[str, int | None] | None = None
    """The token counts that the client has a field for, by our names for them; None without a report."""
    error: str | None = None
    deltas: int = 0
    """The number of pieces of text."""
    order: list[str | None] = field(default_factory=list)
    """The kinds of the parts, "text", "reasoning", "call" and "ran"; empty if a client keeps no order."""
    parts: list[str] = field(default_factory=list)
    """The texts and the reasoning, part by part."""
    news: list[list[Any]] = field(default_factory=list)
    """The type and the content of each plan, progress or question of a run."""
    output: str = ""
    """The output of the steps of a run."""
