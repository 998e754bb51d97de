"""A store knows a call again by what its arguments mean to the tool, however the model has written them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr, field_validator

from tests.call_store.places import calling
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.call_store import MemoryCallStore

NUMBERS = count()


class Transfer(BaseModel):
    to: str = Field(alias="receiver")
    amount: Decimal
    tags: set[str] = set()
    note: str | None = None
    made: float = Field(default_factory=lambda: float(next(NUMBERS)))


class Login(BaseModel):
    password: SecretStr


class Lowered(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def lower(cls, name: str) -> str:
        return name.lower()


@dataclass
class Dated:
    what: str
    number: int = field(default_factory=lambda: next(NUMBERS))


def pay(to: str, usd: float, memo: str = "", at: datetime | None = None) -> str:
    return f"{usd} to {to}, {memo}, {at}"


def transfer(transfer: Transfer) -> str:
    return transfer.to


def login(login: Login) -> str:
    return str(login)


def greet(person: Lowered) -> str:
    return person.name


def note(dated: Dated) -> str:
    return dated.what


def anything(**values: Any) -> str:
    return str(values)


def body(name: str, *arguments: Any) -> list[bytes]:
    texts = (each if isinstance(each, str) else json.dumps(each) for each in arguments)
    return calling(*((name, text) for text in texts), id="chatcmpl-same")


def keys_in_store(tool: Any, *arguments: Any) -> list[str]:
    found: list[str] = []

    class Noting(MemoryCallStore):
        def look(self, key: str) -> Any:
            found.append(key)
            return super().look(key)

    with Stream(body(tool.__name__, *arguments), job="job 7") as stream:
        list(stream.validated_calls(tool, once=Noting()))
    return found


SAME: list[tuple[Any, list[Any]]] = [
    (pay, [{"to": "ann", "usd": 100}, {"to": "ann", "usd": 100.0}, '{"usd": 1e2, "to": "ann"}']),
    (
        pay,
        [{"to": "ann", "usd": 1}, {"to": "ann", "usd": 1, "memo": ""}, {"to": "ann", "usd": 1, "at": None}],
    ),
    (
        pay,
        [
            {"to": "a", "usd": 1, "at": "2030-01-01T12:00:00Z"},
            {"to": "a", "usd": 1, "at": "2030-01-01T14:00:00+02:00"},
        ],
    ),
    (
        transfer,
        [
            {"receiver": "ann", "amount": "7.50", "tags": ["x", "y"]},
            {"receiver": "ann", "amount": 7.5, "tags": ["y", "x", "x"], "note": None},
            {"transfer": {"receiver": "ann", "amount": "7.5", "tags": ["x", "y"]}},
        ],
    ),
    (greet, [{"name": "Ann"}, {"name": "ANN"}, {"person": {"name": "ann"}}]),
    (anything, [{"a": 1, "b": [1, 2]}, {"b": [1.0, 2], "a": 1.0}]),
]
OTHER: list[tuple[Any, list[Any]]] = [
    (pay, [{"to": "ann", "usd": 100}, {"to": "Ann", "usd": 100}, {"to": "ann", "usd": 100, "memo": "rent"}]),
    (login, [{"password": "first"}, {"password": "second"}]),
    (transfer, [{"receiver": "ann", "amount": 1}, {"receiver": "ann", "amount": 1, "made": 1}]),
    (anything, [{"a": 1}, {"a": True}, {"a": "1"}, {"a": [1]}, {"a": None}, {}]),
    (note, [{"what": "x"}, {"what": "x", "number": 0}]),
]


@in_one_test(("tool", "arguments"), SAME)
def test_arguments_that_are_equal_once_validated_are_one_call(tool: Any, arguments: list[Any]) -> None:
    assert 1 == len({key for each in arguments for key in keys_in_store(tool, each)})
    assert len(arguments) == len(set(keys_in_store(tool, *arguments)))
    assert keys_in_store(tool, *arguments) == keys_in_store(tool, *reversed(arguments))


@in_one_test(("tool", "arguments"), OTHER)
def test_arguments_that_differ_are_different_calls(tool: Any, arguments: list[Any]) -> None:
    """A hidden secret is compared as it is written, and a default that a function makes is not compared."""
    found = [keys_in_store(tool, each) for each in arguments]

    assert len(arguments) == len({key for keys in found for key in keys})
    assert found == [keys_in_store(tool, each) for each in arguments]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (pay, {"to": "ann", "usd": 100}),
        (pay, {"to": "ann", "usd": 0.5, "memo": "rent"}),
        (anything, {"a": [1]}),
    ],
)
def test_the_key_is_that_of_the_json_unless_a_default_is_written(
    tool: Any, arguments: dict[str, Any]
) -> None:
    """A program that does not know the tools finds a call in the store, too."""
    [call] = Stream(body(tool.__name__, arguments), job="job 7").tool_calls

    assert [call.key] == keys_in_store(tool, arguments)


def test_an_unknown_default_is_no_reason_to_fail() -> None:
    """A tool whose arguments cannot be described runs as before."""
    store = MemoryCallStore()
    for _ in range(2):
        with Stream(body("note", {"what": "x"}), job="job 7") as stream:
            assert ["x"] == [call.run() for call in stream.validated_calls(note, once=store)]
