"""Functions and types that are tools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from tests.stages.test_tools import Options, Point, WeatherArgs
from tests.stages.test_tools_signature import Node
from tokenstream import Tools


class Search(BaseModel):
    """Search the catalogue.

    Only what is on stock.
    """

    query: str = Field(description="Words.")
    filters: dict[str, int] = {}
    kind: Literal["book", "film"] = "book"
    inner: Search | None = None


def book_table(city: str, seats: Annotated[int, Field(ge=1, description="How many.")] = 2) -> str:
    """Book a table in a city.

    It may be full,
    or not.

    Args:
        city: Where
            the table is.
        seats: Ignored, since the type tells it.
    """
    return f"{seats} in {city}"


def get_time() -> str:
    return "noon"


def place(point: Point, *, client: Callable[[], str] | None = None, near: WeatherArgs | None = None) -> str:
    """:param point: Where it is."""
    return f"{point} {client} {near}"


SIMPLE = Tools(book_table, get_time, place, Point, Options, WeatherArgs, Node)
