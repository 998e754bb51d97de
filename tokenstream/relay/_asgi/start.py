"""The answer that a request starts in a journal or continues, sent from there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from urllib.parse import quote

from tokenstream.errors import AnswerFailure
from tokenstream.relay._asgi.asking import SourceRefused, fingerprint, is_same_request, make_source, refuse
from tokenstream.relay._asgi.follow import FollowOutlet, parse_position
from tokenstream.relay._asgi.refusals import quote_id
from tokenstream.relay._attribution import make_answer_id
from tokenstream.relay._events_in import close_stream
from tokenstream.relay.journal._bounds import is_valid_id
from tokenstream.relay.journal._errors import JournalError, judge_failure

if TYPE_CHECKING:
    from tokenstream._basics.waits import HeaderFields
    from tokenstream.relay._asgi.asking import AnswerSource, AskedPosition
    from tokenstream.relay._incident import Incident
    from tokenstream.relay._shape import Shape
    from tokenstream.relay.journal import Journal

_PATH_SAFE = "/:&=~!$'()*+,;@"
"""Characters of a path that are left as they are."""
_ADDRESS_SAFE = _PATH_SAFE + "?#%{}[]"
"""Characters of the application's own address that are left as they are."""
KEEPS_KEYS: HeaderFields = {"idempotency-key": "kept"}
"""The header that tells a page that it may repeat a question under its key, as the model is asked once."""


class StartOutlet(FollowOutlet):
    """Starts an answer in a journal, or continues one, and supplies its chunks.

    A request that names an answer or a position never starts an answer: it continues that answer, or is
    refused, and the source is closed unread.

    The arguments are those of `relay.respond`.
    """

    def __init__(
        self,
        source: AnswerSource,
        journal: Journal,
        id: str | None,
        *,
        protocol: str,
        owner: str | None,
        shape: Shape | None = None,
        body: object,
        location: str | None = None,
    ) -> None:
        self._is_id_given = id is not None
        id = make_answer_id() if id is None else id
        super().__init__(journal, id, last_event_id=None, protocol=protocol, owner=owner)
        self._source = source
        self._shape = shape
        self._body = body
        self._location = location
        self._fingerprint = fingerprint(None, body)
        self._keeps_key = False
        self._has_key = False
        """True if the request's Idempotency-Key was sent before, so that its answer is the key's."""
        self.exists = False
        """True if the answer was started before, by another request."""
        self.continues = False

    async def prepare(self, asked: AskedPosition) -> HeaderFields:
        """Choose the answer asked for; return headers with its id and, for a POST or PUT, its address."""
        self.continues = asked.continues
        self._last_event_id = asked.position or None
        try:
            parse_position(asked.position)
            self._refusal = await self._choose_answer(asked)
        except JournalError as error:
            self._refusal = judge_failure(error)
        self.may_repeat = self._keeps_key or self._is_id_given or self.continues
        quoted = quote_id(self.id)
        headers = {"x-answer-id": quoted, **(KEEPS_KEYS if self._keeps_key else {})}
        if asked.method in ("POST", "PUT"):
            headers["location"] = self._address_of(asked, quoted)
        return headers

    def _address_of(self, asked: AskedPosition, id: str) -> str:
        if self._location is not None:
            return quote(self._location, safe=_ADDRESS_SAFE).replace("{id}", id)
        # The client understands the address as it has sent it; a decoded path may have "?" and "#".
        sent = asked.sent_path
        path = quote(sent, safe=_PATH_SAFE + "%") if sent else quote(asked.path, safe=_PATH_SAFE)
        # Two slashes at the beginning would name a host.
        path = f"{'/.' if path.startswith('//') else ''}{path.rstrip('/')}"
        # A PUT has the answer's own address.
        return path if asked.method == "PUT" else f"{path}/{id}"

    async def _choose_answer(self, asked: AskedPosition) -> Incident | None:
        """Choose the answer's id, by the first rule that applies; return a refusal if the request is refused.

        1. The id in the request's header. If the application has passed another id, the request is refused.
        2. The id that the application has passed.
        3. The id that the journal keeps for the request's Idempotency-Key, if the key was sent before. A key
           counts with `owner=` or `body=`.
        4. The random id that `__init__` has made for a new answer. A request with a position is refused,
           because it does not say to which existing answer the position belongs.
        """
        # The application's id says more than a key, and a key alone may be another reader's: "1", say.
        is_distinct = self.owner is not None or self._body is not None
        key = asked.key if is_distinct and not self._is_id_given else None
        self._fingerprint = fingerprint(key, self._body)
        if asked.id is not None:
            if self._is_id_given and asked.id != self.id:
                return refuse("other_request")
            self.id = asked.id
        elif key is not None:
            claimed = await self.journal.claim_key(key, self.id, owner=self.owner)
            self._keeps_key, self._has_key, self.id = True, claimed != self.id, claimed
        elif asked.position and not self._is_id_given:
            return refuse("no_answer_id")
        # If the request continues an answer, `_check_existing` finds that no answer has the invalid id.
        return None if self.continues or is_valid_id(self.id) else refuse("invalid_id")

    async def open(self) -> Incident | None:
        """Start the answer and wait for its first event, unless it exists; begin to follow the answer."""
        refusal = await self.begin()
        return refusal or await super().open()

    async def begin(self, open_within: float | None = math.inf) -> Incident | None:
        """Start the answer, unless it exists; return a refusal if it cannot be started or continued.

        By default, the wait for the first event has no limit: `HTTPDelivery` sends the head meanwhile.
        """
        try:
            # Under a new random id, there is no answer yet.
            may_exist = self.continues or self._is_id_given or self._has_key
            if self._refusal is None and may_exist:
                self._refusal = await self._check_existing(must_exist=self.continues)
            if self._refusal is not None or self.continues or self.exists:
                await close_stream(self._source)
                return self._refusal
            return await self._start(open_within)
        except SourceRefused as refused:
            return refused.incident
        except (AnswerFailure, JournalError) as error:
            await close_stream(self._source)
            return judge_failure(error)

    async def _start(self, open_within: float | None) -> Incident | None:
        """Start the answer; if another request has started it meanwhile, refuse a request that differs."""
        self.served.given = self.served.given or self._source
        self._is_own = await self.journal.begin(
            await make_source(self._source),
            self.id,
            owner=self.owner,
            open_within=open_within,
            shape=self._shape,
            asked=self._fingerprint,
            served=self.served,
        )
        return None if self._is_own else await self._check_existing(must_exist=True)

    async def _check_existing(self, *, must_exist: bool) -> Incident | None:
        """Return a refusal if this request differs from the one that has started the answer; else None.

        If the answer `must_exist` but does not, or is another owner's, this raises JournalError.
        """
        try:
            state = await self.journal.read_state(self.id, self.owner)
        except JournalError as error:
            if must_exist or error.kind != "unknown_answer":
                raise
            return None
        self.exists = True
        if is_same_request(self._fingerprint, state.asked):
            return None
        return refuse("key_reused" if self._has_key else "other_request")

    async def open_head(self) -> Incident | None:
        """Close the answer unread: a HEAD request starts nothing."""
        if self.continues:
            return await self.begin()
        await close_stream(self._source)
        return self._refusal
