"""Tells which tool calls are the same, and gives them keys, by which a program knows a call again.

Two calls are the same if they have the same content: the tool's name, and the arguments in one canonical
form. That is the form of the validated arguments for a call that was checked against the application's tools,
and of the JSON for any other.

The same call has the same key after a retry, in a follower of the stream, and in another process. A key is
a hash of the answer's identity, the choice, the content, and the number of equal calls that ended before in
the same choice.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.message import Message, ToolCall

Describe: TypeAlias = "Callable[[str, str], str | None]"
"""Returns the canonical form of a call's validated arguments, from the tool's name and the text, or None."""
CallContent: TypeAlias = tuple[str, str, str]
"""The content of a call: the tool's name, "json" or "text", and the arguments."""
IdentityKind: TypeAlias = Literal["journal", "given", "message", "random"]
"""The source of an answer's identity: a relay's journal, the caller's `job=`, the first id that
the provider gave the message, or chance."""


class AnswerIdentity(NamedTuple):
    """The id from which the keys of an answer's tool calls are computed, and the kind of that id.

    Another connection or process that reads the same answer finds the same id, unless it is random.
    """

    kind: IdentityKind
    id: str


class AnswerCalls:
    """Prepares the keys of an answer's tool calls, by which a program can tell that it has run a call before.

    Most keys are never read. So a call that ends only gets a `CallPlace`: a note of which call it is, from
    which its key is computed when it is first read.

    Args:
        find_journal_id: Returns the id under which a relay's journal records the answer; None if no journal
            does. Without this function, `add` ignores calls: an accumulator that is fed the events of
            another stream gets calls that have their keys already.
    """

    def __init__(self, find_journal_id: Callable[[], str | None] | None) -> None:
        self._find_journal_id = find_journal_id
        self.given: AnswerIdentity | None = None
        """The identity set by the caller, by a recording journal or by a checkpoint; None if none was set."""
        self._first_id: str | None = None
        """The first id that the message had, which stays the same if the answer is restarted."""
        self._fixed: AnswerIdentity | None = None
        """The identity from which all keys are computed; None before the first call has ended."""
        self._choices: dict[int, ChoiceCalls] = {}
        self._were_keys_read = False
        """True if the application has read the key of a call that a restart of the answer has discarded."""

    @property
    def identity(self) -> AnswerIdentity | None:
        """The answer's identity, which no longer changes once a call has ended; None while it has none.

        The first of these ids that exists: the id in a relay's journal, the id that the caller gave (or a
        checkpoint), the id of the message.
        """
        if self._fixed is not None:
            return self._fixed
        journal_identity = self.find_journal_identity()
        if journal_identity is not None:
            return journal_identity
        if self.given is not None:
            return self.given
        return AnswerIdentity("message", self._first_id) if self._first_id else None

    def find_journal_identity(self) -> AnswerIdentity | None:
        """Return the answer's id in the journal of a relay as its identity; None if it is in no journal."""
        if self.given is not None and self.given.kind == "journal":
            return self.given
        journal_id = None if self._find_journal_id is None else self._find_journal_id()
        return None if journal_id is None else AnswerIdentity("journal", journal_id)

    @property
    def identity_to_keep(self) -> AnswerIdentity | None:
        """The identity to store in a checkpoint; None if the answer has none that must be kept.

        A random identity must be kept only once the application has read a key that was computed from it.
        """
        identity = self.identity
        if identity is not None and identity.kind == "random" and not self._has_read_keys():
            return None
        return identity

    def _has_read_keys(self) -> bool:
        return self._were_keys_read or any(calls.has_keys for calls in self._choices.values())

    def identify(self, identity: AnswerIdentity | None) -> None:
        """Use an identity that the caller has given, or that a checkpoint contains, if there is one."""
        if identity is not None:
            self.given = identity

    def record_in_journal(self, id: str) -> None:
        """Use the answer's id in a relay's journal as its identity, so that its clients get the same keys."""
        self.given = AnswerIdentity("journal", id)

    def note_id(self, id: str | None) -> None:
        """Store the message's first id, which identifies the answer if nothing else does."""
        self._first_id = self._first_id or id

    def add(self, choice: int, call: ToolCall) -> None:
        """Add a call that has ended, and store its `CallPlace` in it."""
        if self._find_journal_id is None:
            # These calls were read by another stream, which has given them their keys.
            return
        calls = self._choices.get(choice)
        if calls is None:
            if self._fixed is None:
                # No id is known: the keys are the same only in this stream, and if a checkpoint continues it.
                self._fixed = self.identity or AnswerIdentity("random", os.urandom(16).hex())
            calls = self._choices[choice] = ChoiceCalls(self._fixed, choice)
        set_place(call, calls.add(call))

    def find_choice(self, choice: int) -> ChoiceCalls | None:
        """Return the calls of a choice that have ended; None if the answer has no id that others know."""
        identity = self.identity
        if identity is None or identity.kind == "random":
            return None
        return self._choices.get(choice) or ChoiceCalls(identity, choice)

    def restore(self, message: Message) -> None:
        """Add the complete calls of a message from a checkpoint, so that they get the same keys as before."""
        self.note_id(message.id)
        for call in message.tool_calls:
            if call.complete:
                self.add(message.choice, call)

    def begin_again(self) -> None:
        """Forget all calls when the answer is restarted, so that the same calls get the same keys again."""
        self._were_keys_read = self._has_read_keys()
        self._choices = {}


class CallPlace:
    """The place of a tool call in its answer, from which the call's key is computed at the first access.

    A program that runs a call stores its key, and looks for the key before it runs the call again.

    Args:
        calls: The calls of the same choice; None if `key` is passed.
        number: The number of the call among them, counted from 0.
        key: The key, if it is known already.
        earlier_ids: The other ids under which the call was handed out; None for none.
        describe: Describes the validated arguments of all calls; None for a call that was not checked.
    """

    __slots__ = ("_key", "calls", "describe", "earlier_ids", "identity", "number")

    def __init__(  # noqa: PLR0917 - `__reduce__` passes them by position
        self,
        identity: AnswerIdentity,
        calls: ChoiceCalls | None,
        number: int,
        key: str = "",
        earlier_ids: list[str] | None = None,
        describe: Describe | None = None,
    ) -> None:
        self.identity = identity
        self.calls = calls
        """The calls of the same choice; None for a call that was stored or copied."""
        self.number = number
        """The number of the call in its choice, counted from 0."""
        self.earlier_ids: list[str] = [] if earlier_ids is None else earlier_ids
        """The other ids under which the call was handed out; results may be given under them."""
        self.describe = describe
        self._key = key

    @property
    def key(self) -> str:
        """The call's key: a hash that is the same for this call in a retry and in another process."""
        if not self._key and self.calls is not None:
            self._key = self.calls.find_key(self.number, self.describe)
        return self._key

    def make_checked(self, describe: Describe) -> CallPlace:
        """Return the place for the checked call, whose key is that of its validated arguments."""
        key = self._key if self.calls is None else ""
        return CallPlace(self.identity, self.calls, self.number, key, self.earlier_ids, describe)

    def __reduce__(self) -> tuple[type[CallPlace], tuple[AnswerIdentity, None, int, str, list[str]]]:
        # `calls` are all calls of the answer; a stored or copied call keeps just its own key.
        return CallPlace, (self.identity, None, self.number, self.key, self.earlier_ids)


class ChoiceCalls:
    """Computes the keys of the tool calls in one choice, each when it is first read."""

    def __init__(self, identity: AnswerIdentity, choice: int) -> None:
        self._identity = identity
        self._choice = choice
        self._calls: list[tuple[str, str, str]] = []
        """The type, name and arguments of each call."""
        self._keys: dict[Describe | None, tuple[list[str], Counter[str]]] = {}
        """The keys computed so far, and how often each content was among the calls.

        They are kept by the function that describes the calls; None for the calls' own.
        """

    @property
    def has_keys(self) -> bool:
        """True if a key has been computed, because the application has read it."""
        return bool(self._keys)

    def add(self, call: ToolCall) -> CallPlace:
        """Add a call that has ended; return its place in the answer, which computes its key on access."""
        number = len(self._calls)
        self._calls.append((call.type, call.name, call.arguments_text))
        return CallPlace(self._identity, self, number)

    def describe(self, describe: Describe | None, *, start: int = 0) -> list[str]:
        """Return each call as a text with its name and its arguments, such as `pay({"usd":5})`."""
        contents = [_find_content(describe, *call) for call in self._calls[start:]]
        return [f"{name}({text})" for name, _, text in contents]

    def find_entry_key(self, number: int) -> str:
        """Return the key under which a store keeps an entry of the list of these calls."""
        return _hash(["list of calls", self._identity.id, self._choice, number])

    def find_key(self, number: int, describe: Describe | None) -> str:
        """Return the key of call `number`, from 0; it depends on the calls before, whose keys come first."""
        keys, counts = self._keys.setdefault(describe, ([], Counter()))
        for call in self._calls[len(keys) : number + 1]:
            content = _hash([self._identity.id, self._choice, *_find_content(describe, *call)])
            # The number of equal calls before this one tells them apart.
            keys.append(_hash([content, counts[content]]))
            counts[content] += 1
        return keys[number]


def find_call_place(call: ToolCall) -> CallPlace | None:
    """Return the `CallPlace` of an answer's call, which computes its key; None before the call has ended."""
    return call.__dict__.get("_place")


def set_place(call: ToolCall, place: CallPlace | None) -> None:
    """Attach a `CallPlace` to a call, from which the call's key is computed; None to attach none."""
    # Not a field: calls of two answers are equal if their contents are.
    attributes: Any = vars(call)
    attributes["_place"] = place


def _hash(content: list[Any]) -> str:
    # Imported here, because most answers call no tool.
    from hashlib import sha256

    return sha256(json.dumps(content).encode()).hexdigest()


def is_same_call(one: ToolCall, other: ToolCall) -> bool:
    """Return True if two calls have the same content."""
    return _find_content_of(one) == _find_content_of(other)


def note_same(before: ToolCall, call: ToolCall) -> None:
    """Note that a call is one that was handed out before, so that it keeps that id."""
    place = find_call_place(call)
    if place is not None and before.id not in ids_of(call):
        place.earlier_ids.append(before.id)


def ids_of(call: ToolCall) -> tuple[str, ...]:
    """Return the ids under which a call was handed out: its own, then the others."""
    place = find_call_place(call)
    return (call.id,) if place is None else (call.id, *place.earlier_ids)


def _find_content_of(call: ToolCall) -> CallContent:
    place = find_call_place(call)
    describe = None if place is None else place.describe
    return _find_content(describe, call.type, call.name, call.arguments_text)


def _find_content(describe: Describe | None, type_: str, name: str, text: str) -> CallContent:
    """Return a call's content: with `describe`, by its validated arguments, if they have a description."""
    if type_ == "custom":
        return name, "text", text
    from tokenstream._basics.same_call import form_of

    described = (None if describe is None else describe(name, text)) or form_of(text)
    return (name, "text", text) if described is None else (name, "json", described)
