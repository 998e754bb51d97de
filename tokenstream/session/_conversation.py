"""A conversation over one connection after the other: asks, reads, interrupts and rotates.

All methods that need the connection are generators of steps, which a session takes; see `Flow`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import is_dict
from tokenstream._sources.websocket import is_clean, is_socket_closed
from tokenstream.errors import LimitExceeded, MisuseError, ProtocolError, StreamStalled
from tokenstream.formats._registry import format_of_path
from tokenstream.session._connection import AskedExchange, Bell, FairLock, RenewedConnection, earliest
from tokenstream.session._live import LiveAPI
from tokenstream.session._realtime import RealtimeAPI
from tokenstream.session._responses import ResponsesAPI
from tokenstream.stream._log import inform, log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokenstream._basics.loose import JsonObject
    from tokenstream.limits import Limits
    from tokenstream.session._api import Payload, SessionAPI
    from tokenstream.session._lines import Flow
    from tokenstream.session._rounds import Round
    from tokenstream.stream._protocols import Clock

_APIS: dict[str, type[SessionAPI]] = {api.format: api for api in (ResponsesAPI, RealtimeAPI, LiveAPI)}
"""The APIs that a session speaks, by the names of their formats."""
_DRAIN_SECONDS = 5.0
"""Longest wait for the end of a cancelled answer, in seconds; then another connection is opened."""
_READY_SECONDS = 30.0
"""Longest wait for a server to set a session up, in seconds."""
_MAX_REPEATS = 2
"""The number of times that one question is asked again without any answer."""
_MAX_KEPT = 1_024
"""The number of messages to keep for the next answer."""


class SessionConversation:
    """The state of a session: its rounds, and the exchanges of the current connection."""

    def __init__(
        self,
        format: str | None,
        model: str | None,
        tools: Any,  # noqa: ANN401 - tools, a router or a list, checked by the session
        settings: Mapping[str, Any],
        *,
        limits: Limits,
        clock: Clock,
        make_bell: Callable[[], Bell],
    ) -> None:
        self._model, self._tools, self._settings = model, tools, settings
        self._limits = limits
        self._clock = clock
        self.api: SessionAPI | None = None if format is None else self._make_api(format)
        """The API; None until its name is known."""
        self.rotations = 0
        """Number of connections that were opened in place of another one."""
        self._connection = RenewedConnection(clock, make_bell)
        self._asking = FairLock(make_bell)
        """The turn to ask a question, on another connection if need be."""
        self._exchanges: list[AskedExchange] = []
        """The exchanges of the current connection that have not ended."""
        self._rounds: dict[str, list[Round]] = {}
        self.latest: dict[str, AskedExchange] = {}
        """The last exchange of each lane."""
        self._kept: list[bytes] = []
        """Messages that belong to no answer, for the next one."""

    def _make_api(self, format: str) -> SessionAPI:
        """Return the state of a conversation with an API; tools are a list, or an object that writes it."""
        kind = _APIS.get(format)
        if kind is None:
            raise MisuseError(f"a session speaks {', '.join(sorted(_APIS))}, and not {format!r}")
        is_written = self._tools is None or self._tools.__class__ is list
        tools = self._tools if is_written else kind.write_tools(self._tools)
        return kind(self._model, tools, self._settings)

    @property
    def known_api(self) -> SessionAPI:
        """The API, which is known once a connection is open."""
        if self.api is None:
            raise MisuseError("the session is not open yet: enter it with `with`, or `async with`")
        return self.api

    def rounds_in(self, lane: str) -> Sequence[Round]:
        return self._rounds.get(lane, ())

    # -- connections ---------------------------------------------------------

    def connect(self) -> Flow[None]:
        """Open a connection, unless a usable one is open; StreamStalled if the server does not set it up."""
        connection = self._connection
        if connection.is_open and (connection.is_half_written or self._must_rotate()):
            yield from self.disconnect()
        was_closed = False
        while not connection.is_open:
            was_open = self.api is not None and self.api.connections > 0
            opened = yield from connection.open()
            if self.api is None:
                self.api = self._make_api(_find_format(opened.path))
            self.rotations += was_open
            if was_open:
                log("session rotated to connection %d", self.api.connections + 1)
            try:
                yield from connection.send_all(self.api.greet(is_set_up=opened.is_set_up))
                yield from self._wait_until_ready(self.api)
            except Exception as error:
                yield from self.disconnect()
                # The handle of a session that has expired is refused; without it, the history is sent.
                has_other_way = is_socket_closed(error) and self.api.forget_handle()
                # A server may close a connection at once, because it is about to stop.
                if not has_other_way and (was_closed or not is_clean(error)):
                    raise
                was_closed = True

    def _must_rotate(self) -> bool:
        """Return True if the next question needs another connection, which would cut no other answer."""
        api = self.api
        if api is None or api.must_rotate:
            return api is not None
        return api.may_be_late and not any(each.is_open and not each.dropped for each in self._exchanges)

    def _wait_until_ready(self, api: SessionAPI) -> Flow[None]:
        until = self._clock() + _READY_SECONDS
        while not api.is_ready and self._connection.is_open:
            try:
                message = yield from self._connection.receive(until)
            except TimeoutError:
                raise StreamStalled(
                    f"the server has not set the session up within {_READY_SECONDS:g} seconds",
                    limit="first_event",
                ) from None
            yield from self._take(message)

    def disconnect(self) -> Flow[None]:
        """Close the connection; no more messages of its exchanges can arrive."""
        self._end_exchanges(None)
        yield from self._connection.close()

    def _lose(self, error: Exception, number: int) -> Flow[None]:
        """Note that the connection with a number has broken, unless that is known already."""
        if self._connection.is_current(number):
            self._end_exchanges(error)
            yield from self._connection.close()

    def _is_gone(self, error: Exception, number: int) -> bool:
        """Return True if an exception means that the connection with a number is gone, or that is known."""
        is_lost = isinstance(error, OSError) and not isinstance(error, TimeoutError)
        return is_lost or is_socket_closed(error) or not self._connection.is_current(number)

    def _end_exchanges(self, error: Exception | None) -> None:
        exchanges, self._exchanges = self._exchanges, []
        for exchange in exchanges:
            if not exchange.ended:
                # A server that closes the connection at once has not taken the question.
                is_closed = error is None or is_clean(error)
                exchange.again = is_closed and not exchange.begun
                exchange.end(error)

    def leave_for_good(self) -> None:
        """Note that the session is closed, and keep the messages of its answers instead of their streams."""
        for rounds in self._rounds.values():
            for each in rounds:
                each.let_go()

    # -- asking --------------------------------------------------------------

    def check_free(self, lane: str) -> None:
        """Refuse a question while an answer is in progress that leaves no room for another one."""
        has_lanes = self.api is not None and self.api.has_lanes
        # Another thread may ask in another lane meanwhile.
        for exchange in list(self.latest.values()):
            is_in_the_way = exchange.round.lane == lane or not has_lanes
            if is_in_the_way and not (exchange.dropped or exchange.is_read):
                hint = ", or ask in another lane=" if has_lanes else ""
                raise MisuseError(
                    "the answer before is still in progress: first read it to its end, or call its "
                    f"interrupt() or close it{hint}",
                    kind="concurrent",
                )

    def ask(self, asked: Round, turns: list[JsonObject]) -> Flow[AskedExchange]:
        """Send a question, on another connection if need be; return the exchange that gets the answer.

        Turns that follow it let the model continue a broken answer.
        """
        self.check_free(asked.lane)
        exchange = AskedExchange(asked, turns)
        try:
            yield from self._write(exchange)
        except BaseException:
            # Nobody reads it, so it must not be in the way of another attempt.
            exchange.drop()
            raise
        return exchange

    def write_post(self, asked: Round, turns: list[JsonObject]) -> tuple[AskedExchange, Payload]:
        """Return the exchange and the payload of a question that is sent as a POST, without a connection."""
        self.check_free(asked.lane)
        exchange = AskedExchange(asked, turns)
        exchange.is_post = True
        # Its messages are in the source of the POST.
        exchange.end()
        api: Any = self.known_api
        return exchange, {**api.write_payload(exchange, self._begin_round(exchange)), "stream": True}

    def _write(self, exchange: AskedExchange) -> Flow[None]:
        """Send the question of an exchange, once no other one is being sent."""
        last = self.latest.get(exchange.round.lane)
        is_repeated = last is not None and last.round is exchange.round and last is not exchange
        earlier = self._begin_round(exchange)
        yield from self._asking.take()
        try:
            if is_repeated and self.known_api.keeps_attempts:
                yield from self.disconnect()
            if not exchange.dropped:
                yield from self._write_in_turn(exchange, earlier)
        finally:
            self._asking.give()

    def _write_in_turn(self, exchange: AskedExchange, earlier: Sequence[Round]) -> Flow[None]:
        """Send the question of an exchange; a connection that turns out to be closed is replaced."""
        while True:
            yield from self._catch_up()
            yield from self._drain_cancelled(exchange)
            yield from self.connect()
            number = self._connection.number
            try:
                # The exchange is open before its request is written: the answer may come at once.
                exchange.written = True
                self._exchanges.append(exchange)
                yield from self._connection.send_all(self.known_api.write_request(exchange, earlier))
            except Exception as error:
                exchange.restart()
                if exchange in self._exchanges:
                    self._exchanges.remove(exchange)
                is_gone = self._is_gone(error, number)
                # Messages that had arrived before the end may have a handle to resume with.
                yield from self._catch_up()
                yield from self._lose(error, number)
                if not is_gone or exchange.repeats >= _MAX_REPEATS:
                    raise
                exchange.repeats += 1
            else:
                break
        kept, self._kept = self._kept, []
        for message in kept:
            exchange.put(message)

    def _begin_round(self, exchange: AskedExchange) -> list[Round]:
        """Settle the round before, note the round of an exchange, and return the rounds before it."""
        asked = exchange.round
        latest = self.latest.get(asked.lane)
        if latest is not None and latest.round is not asked:
            self.settle(latest)
        self.latest[asked.lane] = exchange
        rounds = self._rounds.setdefault(asked.lane, [])
        if not rounds or rounds[-1] is not asked:
            rounds.append(asked)
        return rounds[:-1]

    def settle(self, exchange: AskedExchange) -> None:
        """Keep the answer of an exchange, from which nothing more comes."""
        if exchange.is_post:
            message = exchange.round.message
            exchange.completed, exchange.answer_id = message.complete, message.id
        if exchange.is_read and not exchange.dropped and self.api is not None:
            self.api.settle(exchange)
        exchange.round.keep()

    def _catch_up(self) -> Flow[None]:
        """Take the messages that have arrived between two answers, such as a farewell of the server."""
        # If another run reads the connection, it takes them.
        connection = self._connection
        while connection.is_open and not connection.is_read and (yield from self._take_next(self._clock())):
            pass

    def _drain_cancelled(self, exchange: AskedExchange) -> Flow[None]:
        """Read the rest of cancelled answers that have to end before another question; but not for long."""
        until = self._clock() + _DRAIN_SECONDS
        while self._connection.is_open and any(self._is_before(each, exchange) for each in self._exchanges):
            if not (yield from self._take_next(until)):
                yield from self.disconnect()

    def _is_before(self, other: AskedExchange, exchange: AskedExchange) -> bool:
        """Return True if the request of an exchange can only be written after messages of another one."""
        return other is not exchange and other.is_open and self.known_api.waits_for(other, exchange)

    def _take_next(self, until: float) -> Flow[bool]:
        """Take the next message, or note that the connection is gone; return False if there was neither."""
        number = self._connection.number
        try:
            message = yield from self._connection.receive(until)
        except TimeoutError:
            return False
        except Exception as error:
            if not self._is_gone(error, number):
                raise
            yield from self._lose(error, number)
        else:
            yield from self._take(message)
        return True

    # -- reading -------------------------------------------------------------

    def read(self, exchange: AskedExchange, seconds: float | None) -> Flow[bytes | None]:
        """Return the next message of an exchange; None at the end of its answer."""
        until = None if seconds is None else self._clock() + seconds
        held_up_until = self._clock() + _DRAIN_SECONDS
        while not exchange.messages:
            if exchange.again and not exchange.dropped:
                yield from self._ask_again(exchange)
                held_up_until = self._clock() + _DRAIN_SECONDS
            elif exchange.ended or exchange.dropped:
                error, exchange.error = exchange.error, None
                if error is not None and not is_clean(error):
                    raise error
                return None
            else:
                yield from self._receive_for(exchange, until, held_up_until)
        return exchange.take()

    def _receive_for(self, exchange: AskedExchange, until: float | None, held_up_until: float) -> Flow[None]:
        """Read a message from the connection, of this exchange or of another one.

        `held_up_until` is how long the end of a cancelled answer before this one is waited for.
        """
        is_held_up = not exchange.begun and self._is_held_up(exchange)
        limits = (until, exchange.held_until, held_up_until if is_held_up else None)
        number = self._connection.number
        try:
            message = yield from self._connection.receive(earliest(limits), exchange)
        except TimeoutError:
            if exchange.end_silence(self._clock()):
                return
            if not is_held_up or self._clock() < held_up_until:
                raise
            # The server goes on with the cancelled answer, so that only another connection helps.
            if self._connection.is_current(number):
                yield from self.disconnect()
                exchange.ask_again()
        except Exception as error:
            if not self._is_gone(error, number):
                raise
            yield from self._lose(error, number)
        else:
            yield from self._take(message)

    def _is_held_up(self, exchange: AskedExchange) -> bool:
        """Return True if a cancelled answer in the same lane has not ended."""
        others = [each for each in self._exchanges if each.is_open and each is not exchange]
        return any(each.dropped for each in others if each.round.lane == exchange.round.lane)

    def _ask_again(self, exchange: AskedExchange) -> Flow[None]:
        """Write the request of an exchange once more, as no answer can come."""
        if exchange in self._exchanges:
            self._exchanges.remove(exchange)
        if exchange.repeats >= _MAX_REPEATS:
            exchange.again = False
            exchange.end(exchange.error)
            return
        exchange.restart()
        exchange.repeats += 1
        try:
            yield from self._write(exchange)
        except BaseException:
            # After a timeout around the read, the next one begins anew.
            exchange.ask_again()
            raise

    def _take(self, message: object) -> Flow[None]:
        """Give a received message to its exchange, and send what it calls for; do nothing for None."""
        if message is None:
            return
        api = self.known_api
        data = message.encode() if isinstance(message, str) else message
        if not isinstance(data, bytes):
            raise ProtocolError(f"the connection gave a {type(message).__name__}, and no message")
        try:
            decoded: object = decode(data, self._limits)
        except ProtocolError:
            # The stream that reads the answer reports it.
            decoded = {}
        payload = decoded if is_dict(decoded) else {}
        place = api.find_place(payload, [each for each in self._exchanges if not each.ended])
        exchange = place.exchange
        if exchange is not None:
            exchange.put(data, held_until=self._clock() + _DRAIN_SECONDS if place.is_held else None)
            exchange.begun = exchange.begun or place.begins
            if place.ending is not None:
                exchange.put(json.dumps(place.ending).encode())
            if place.is_end:
                exchange.end()
            if exchange.waiting > max(self._limits.body, len(data)):
                raise LimitExceeded(limit="body", value=self._limits.body)
        elif not place.is_discarded:
            self._keep(data)
        elif place.is_late_error:
            inform("the server reported an error between two answers: no question gets it")
        self._exchanges = [each for each in self._exchanges if not each.ended]
        yield from self.send_quietly(place.replies)

    def _keep(self, data: bytes) -> None:
        """Keep a message that belongs to no answer, for the next one."""
        if len(self._kept) < _MAX_KEPT:
            self._kept.append(data)

    # -- ending an answer ------------------------------------------------------

    def release(
        self, exchange: AskedExchange, played_ms: float | None = None, earlier: Sequence[AskedExchange] = ()
    ) -> Flow[None]:
        """Stop an answer that is not read any further: ask the server to stop it, and drop what comes late.

        The answer may have come to its exchange from `earlier` ones, after which tools ran. `played_ms`
        is None if it is not known how much of its audio was heard.
        """
        was_open = exchange.is_open and not exchange.dropped
        if not exchange.is_read:
            exchange.drop()
        if not self._connection.is_open or self.api is None:
            return
        payloads: list[Payload] = []
        if was_open and not exchange.cancel_sent and exchange in self._exchanges:
            exchange.cancel_sent = True
            payloads += self.api.write_cancel(exchange)
        if played_ms is not None:
            payloads += self.api.write_truncation([*earlier, exchange], played_ms)
        yield from self.send_quietly(payloads)

    def send_quietly(self, payloads: Sequence[Payload]) -> Flow[None]:
        """Write messages; if the connection is closed, the next read says so, after what had arrived."""
        number = self._connection.number
        try:
            yield from self._connection.send(payloads)
        except Exception as error:
            if not self._is_gone(error, number):
                raise


def _find_format(path: str | None) -> str:
    """Return the name of the format that the path of the connection's URL tells."""
    format = None if path is None else format_of_path(path.partition("?")[0])
    if format not in _APIS:
        raise MisuseError(
            f"the connection's URL does not tell the API: give format=, one of {', '.join(sorted(_APIS))}"
        )
    return format
