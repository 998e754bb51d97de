"""Connections that an answer is read from, one after the other, each with the head of its response."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote
from weakref import ref

from tokenstream._basics.request_facts import offered_in
from tokenstream._connection.connection import Connection
from tokenstream._pipeline.factories import make_content_decoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.request_facts import OfferedTools
    from tokenstream._connection.head import ResponseHead
    from tokenstream._connection.status import ErrorBody
    from tokenstream._sources.kinds import AsyncSource, SyncSource
    from tokenstream.departures import Departures
    from tokenstream.formats._base import Format
    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.formats._kit.whole_text import TextFinder
    from tokenstream.formats._registry import FormatChoice
    from tokenstream.framing._content_coding import ContentDecoder
    from tokenstream.limits import Limits


class Link:
    """Makes connections, as the caller's options and the heads of the responses tell."""

    connection: Connection
    coding: ContentDecoder | None
    """Decodes the body; None if there is nothing to decode."""
    unit: type
    """The class of input: bytes, or str for decoded text."""

    def __init__(
        self,
        wanted: FormatChoice,
        *,
        limits: Limits,
        departures: Departures,
        found: Callable[[str], None],
        find_text: TextFinder,
        make_stage: StageFactory | None,
        offered: OfferedTools | None,
    ) -> None:
        self.wanted, self.make_stage, self.offered = wanted, make_stage, offered
        self.limits, self._departures = limits, departures
        self._found, self._find_text = found, find_text
        self._adapt: Callable[[Format], None] | None = None
        """Prepares each new format; None to leave it as it is."""
        self._superseded: list[ref[Connection]] = []
        """The connections that others have replaced, as long as they exist."""
        self.head: ResponseHead | None = None
        """The head of the response; None if there is none, or before it arrives."""
        self.refusal: ErrorBody | None = None
        """Reads the body of a response that is an error, of which the connection gets nothing; None for an
        answer."""
        self.reads_after_error: bool | None = None
        """True to read the rest of the body after a provider's error, False only that of the piece in hand.

        None to read nothing, so that what a `Decoder` gives does not depend on the chunks.
        """
        self.kept_format: Format | None = None
        """A format that reads on with the next connection; None to create a new format for it."""

    def adapt_formats(self, adapt: Callable[[Format], None]) -> None:
        """Prepare each format by this function, also that of a new connection from now on."""
        self._adapt = adapt
        self.connect()

    def begin_again(self, kept_format: Format | None) -> None:
        """Forget the head of the last connection; `kept_format` reads on with the next one."""
        self.head = self.refusal = self.coding = None
        self.kept_format = kept_format

    def return_to(self, connection: Connection) -> None:
        """Return to an earlier connection, which has brought the whole answer."""
        superseded, self.connection, self.refusal = self.connection, connection, None
        self._let_go(superseded)

    def dispose(self) -> None:
        """Let go of what refers back to the connections."""
        del self._adapt
        self.connection.dispose()
        for superseded in self._superseded:
            connection = superseded()
            if connection is not None:
                connection.dispose()

    @property
    def format(self) -> str | None:
        """The format's name; None until it is known."""
        return None if self.refusal is not None else self.connection.name

    def connect(self) -> None:
        """Replace the connection by a new one."""
        superseded = self.connection
        self.begin()
        self._let_go(superseded)

    def begin(self) -> None:
        """Begin a connection, which is read by the `kept_format`, or by a new format if there is none."""
        self.coding = None
        self.connection = connection = Connection(
            self.wanted,
            limits=self.limits,
            departures=self._departures,
            found=self._found,
            make_stage=self.make_stage,
            offered=self.offered,
            continued_format=self.kept_format,
            find_text=self._find_text,
            adapt=self._adapt,
        )
        self.unit = str if connection.takes_text else bytes

    def read_with(self, format: Format) -> None:
        """Begin the connection anew, of which nothing was read yet, with a format that is made already."""
        self.kept_format = format
        self.connect()

    def _let_go(self, superseded: Connection) -> None:
        """Dispose of a connection that another has replaced: now or, if it has read frames, at the end."""
        if superseded.is_untouched and superseded.format is not self.connection.format:
            superseded.dispose()
        else:
            self._superseded = [each for each in self._superseded if each() is not None]
            self._superseded.append(ref(superseded))

    def expect_format(self, format: FormatChoice, make_stage: StageFactory | None) -> None:
        """Expect another format, or any, from the next connection on, and another stage for its events."""
        self.wanted, self.make_stage = format, make_stage

    @property
    def is_unused(self) -> bool:
        """True after a refusal whose connection can serve the next attempt: it has got nothing."""
        is_new = self.refusal is not None and self.kept_format is None
        return is_new and self.connection.serves(self.wanted, self.make_stage)

    @property
    def named_id(self) -> str | None:
        """The answer's id as the relay that sends it has named it, in a header or, if kept, in an event."""
        head = self.head
        named = None if head is None or self.refusal is not None else head.headers.get("x-answer-id")
        return self.sent_id if named is None else unquote(named)

    @property
    def sent_id(self) -> str | None:
        """The answer's id in the relay's journal, if the relay has sent it in an event."""
        resume = self.connection.format.resume
        return None if resume is None else resume.answer_id

    def take_head(self, head: ResponseHead, coding: str) -> None:
        """Accept the head of a response, whose status decides if the body is an answer or an error."""
        self.head = head
        if head.refuses:
            from tokenstream._connection.status import ErrorBody

            self.refusal, self.unit = ErrorBody(head, limits=self.limits, expected=self.wanted), bytes
        else:
            self.connection.take_content_type(head.content_type)
        self.coding = make_content_decoder(coding, self.limits)

    def take_source(self, source: SyncSource | AsyncSource) -> None:
        """Expect the response of a source, whose options count where the caller has given none."""
        self.reads_after_error = source.reads_after_error
        if source.reading is not None:
            format, make_stage, offered = source.reading
            self.offered = offered if self.offered is None else self.offered
            self.wanted = format if self.wanted is None else self.wanted
            self.make_stage = make_stage if self.make_stage is None else self.make_stage
            self.connect()
        if source.head is not None:
            self.take_head(source.head, source.coding)
        if source.asked is not None and self.refusal is None:
            # The format may use the request to read the response; an error is not read by it.
            _, payload = source.asked
            if self.offered is None:
                self.connection.take_tools(offered_in(payload))
            self.connection.format.take_request(payload)
