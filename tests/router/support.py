"""An answer for routers, and functions that are registered with them."""

from __future__ import annotations

from pydantic import BaseModel

from tokenstream import testing

ANSWER = testing.script().text("a").finish()


class City(BaseModel):
    city: str


def takes_none() -> None:
    raise NotImplementedError


def takes_three(a: object, b: object, c: object) -> None:
    raise NotImplementedError
