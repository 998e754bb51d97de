"""Media that arrive in pieces and are sent whole."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokenstream.events import MediaDelta
from tokenstream.message import MediaPart
from tokenstream.relay._encoders.losses import PHRASES

if TYPE_CHECKING:
    from tokenstream.events import PartDone, PartStart
    from tokenstream.relay._encoders.encoder import Encoder
    from tokenstream.turns import Kind

_FAMILIES: dict[str, Kind] = {"image": "image", "audio": "audio", "video": "video"}
"""Maps the first half of a media type to the name for `drop=`; any other type is a "file"."""


@dataclass(slots=True)
class Medium:
    """One image, audio or other medium of an answer, as far as it has arrived."""

    mime_type: str | None = None
    url: str | None = None
    pieces: list[bytes] = field(default_factory=list[bytes])
    begun: bool = False
    """True once the content of the `PartStart` was used, so that a repeated `PartStart` adds nothing."""

    @property
    def is_audio(self) -> bool:
        """True for audio, which is sent piece by piece."""
        return self.mime_type is not None and self.mime_type.startswith("audio/")

    def add_details(self, content: MediaPart) -> None:
        """Store the medium's type and URL, if the content of a start has them."""
        self.mime_type = content.mime_type or self.mime_type
        self.url = content.url or self.url

    def to_fields(self, mime_type: str, url: str) -> dict[str, Any] | None:
        """Return the medium as fields of an API: the data, or else the URL; None if there is neither.

        Args:
            mime_type: The name of the API's field for the type.
            url: The name of the API's field for the URL.
        """
        data = b"".join(self.pieces)
        content = {"data": b64encode(data).decode()} if data else drop_none(**{url: self.url})
        return {**drop_none(**{mime_type: self.mime_type}), **content} if content else None

    def to_url(self, mime_type: str) -> str | None:
        """Return a data URL with the medium's data, or the medium's own URL; None if there is neither.

        Args:
            mime_type: The type to put into a data URL.
        """
        data = b"".join(self.pieces)
        return f"data:{mime_type};base64,{b64encode(data).decode()}" if data else self.url


class Media:
    """The media of an answer that have begun and are not complete yet."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, int], Medium] = {}

    def find(self, event: PartStart | MediaDelta) -> Medium:
        """Return the medium that an event belongs to; an empty one if the event is the medium's first."""
        return self._open.setdefault((event.choice, event.part), Medium())

    def start(self, event: PartStart, content: MediaPart) -> list[MediaDelta]:
        """Record the start of a medium, and return the content that the start contains, as deltas.

        The result is empty if the start contains no content, or only repeats an earlier start.
        """
        medium = self.find(event)
        medium.add_details(content)
        if medium.begun or not (content.data or content.transcript):
            return []
        medium.begun = True
        return [MediaDelta(content.data, content.transcript, choice=event.choice, part=event.part)]

    def pop(self, event: PartDone) -> Medium | None:
        """Remove and return a complete medium; None if the part is not a medium."""
        medium = self._open.pop((event.choice, event.part), None)
        if medium is not None and isinstance(event.content, MediaPart):
            medium.add_details(event.content)
        return medium


def omit_medium(
    encoder: Encoder, event: PartStart | MediaDelta | PartDone, mime_type: str | None, *sent: str
) -> tuple[()]:
    """Return no payloads for a medium of a type that the format cannot express.

    Args:
        encoder: The encoder, whose `drop` says what may be left out.
        event: An event of the medium.
        mime_type: The medium's type; None if it is not known.
        *sent: The types of the same family, such as images, that the format can express.

    Raises:
        NotExpressible: `drop` does not allow leaving the medium out.
    """
    if mime_type is None:
        return encoder.omit("media whose type is not known", "media", part=event.part)
    kind = _FAMILIES.get(mime_type.partition("/")[0], "file")
    others = f" other than {', '.join(sent)}" if any(each.startswith(f"{kind}/") for each in sent) else ""
    return encoder.omit(f"{PHRASES[kind]}{others}", kind, part=event.part)


def drop_none(**fields: object) -> dict[str, Any]:
    """Return the fields that are not None.

    Example:
        >>> drop_none(url="a", title=None)
        {'url': 'a'}
    """
    return {name: value for name, value in fields.items() if value is not None}
