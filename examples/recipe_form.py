"""Fill in a form in the terminal while a recorded answer arrives.

`--fast` leaves out the pauses between the pieces. `--plain`, and a machine without
rich, print each line of the form when it is finished instead of redrawing it.
"""

import sys
import time
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel

from tokenstream import Stream
from tokenstream.partial_json import Partial

RECORDING = (
    Path(__file__).parents[1] / "tests" / "recordings" / "openai-chat" / "recipe.sse"
)
PAUSE = 0.0 if "--fast" in sys.argv or not sys.stdout.isatty() else 0.06


class Ingredient(BaseModel):
    """One ingredient of a recipe."""

    name: str
    amount: str | None


class Step(BaseModel):
    """One step of a recipe."""

    title: str
    minutes: int
    text: str


class Recipe(BaseModel):
    """The recipe that the model was asked for."""

    name: str
    serves: int
    vegetarian: bool
    ingredients: list[Ingredient]
    steps: list[Step]
    tip: str | None = None


def replay() -> Iterator[bytes]:
    """Yield the recording's events one by one, like a slow server."""
    for event in RECORDING.read_bytes().split(b"\n\n"):
        time.sleep(PAUSE)
        yield event + b"\n\n"


FORM = {
    "ingredients": ("ingredient", " ", ("amount", "name")),
    "steps": ("step", ": ", ("title", "text")),
}
"""For each list: the label of an element, a separator, and the fields to show."""


def lines(draft: Partial[Recipe]) -> Iterator[tuple[str, str, bool]]:
    """Yield the form's lines: a label, the text so far, and True if it is finished."""
    for name in Recipe.model_fields:
        if name not in FORM:
            yield name, str(draft.get(name, default="")), draft.is_complete(name)
            continue
        label, between, shown = FORM[name]
        for at in range(len(draft.get(name, default=()))):
            texts = [draft.get(name, at, field, default="") for field in shown]
            yield (
                f"{label} {at + 1}",
                between.join(filter(None, texts)),
                draft.is_complete(name, at),
            )


def fill_in(drafts: Iterable[Partial[Recipe]]) -> None:
    """Redraw the form for each draft."""
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    with Live(auto_refresh=False) as screen:
        for draft in drafts:
            form = Table("", "field", "value", title="Recipe", min_width=60)
            for label, text, done in lines(draft):
                shown = text if done or not text else f"{text}▌"
                # A Text shows square brackets unchanged; in a str they could be markup.
                form.add_row("✓" if done else "", label, Text(shown))
            screen.update(form, refresh=True)


def write_down(drafts: Iterable[Partial[Recipe]]) -> None:
    """Print each line of the form once, when it is finished."""
    printed: set[str] = set()
    for draft in drafts:
        for label, text, done in lines(draft):
            if done and label not in printed:
                printed.add(label)
                print(f"{label:13} {text}")


# Print a question mark for a character that the terminal's encoding lacks.
if reconfigure := getattr(sys.stdout, "reconfigure", None):
    reconfigure(errors="replace")
with Stream(replay()) as stream:
    show = fill_in if find_spec("rich") and "--plain" not in sys.argv else write_down
    show(stream.partials(Recipe))
    recipe = stream.result(Recipe)

minutes = sum(step.minutes for step in recipe.steps)
print(f"\n{recipe.name}: {minutes} minutes, for {recipe.serves}")
