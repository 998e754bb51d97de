"""The object that fills in where typed objects are measured."""

from __future__ import annotations

from pydantic import BaseModel

__all__ = ["Recipe", "Step"]


class Step(BaseModel):
    """One of the objects of the list."""

    number: int
    title: str
    minutes: int
    optional: bool
    text: str
    tools: list[str]


class Recipe(BaseModel):
    """What fills in."""

    name: str
    steps: list[Step]
