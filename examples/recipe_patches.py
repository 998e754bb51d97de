"""Show the form of recipe_form.py in a web page: what a browser gets are patches, and never the whole.

Prints what a server would send, a line of JSON for each patch, and at last what a reader
has made of them. `--page FILE` writes a page that plays them. Each patch has a number, so
that who applies them tells at once that one is missing, or comes out of order.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tokenstream import Stream

RECORDING = Path(__file__).parents[1] / "tests" / "recordings" / "openai-chat" / "recipe.sse"
PAGE = """\
<!doctype html>
<meta charset="utf-8">
<title>A recipe</title>
<main><h1></h1><ul></ul><ol></ol><p></p></main>
<script>
// -- the reader --
class Form {
  value = null;
  #due = 0;
  take({number, patch}) {
    if (number !== this.#due) throw new Error(`patch ${number} came where patch ${this.#due} was due`);
    this.#due += 1;
    for (const operation of patch) this.#apply(operation);
  }
  #apply({op, path, value}) {
    const root = {"": this.value};
    const keys = path.split("/").map(key => key.replaceAll("~1", "/").replaceAll("~0", "~"));
    const last = keys.pop();
    let holder = root;
    for (const key of [...keys, last]) {
      // A model may write any key, and some have a meaning in JavaScript.
      if (key in Object.prototype) throw new Error(`no key of a recipe: ${key}`);
    }
    for (const key of keys) holder = holder[key];
    if (op === "append") holder[last] += value;
    else if (op === "remove") Array.isArray(holder) ? holder.splice(last, 1) : delete holder[last];
    else if (op === "add" && Array.isArray(holder)) holder.splice(last, 0, value);
    else holder[last] = value;
    this.value = root[""];
  }
}
// -- the page --
const patches = PATCHES;
const form = new Form();
function list(place, values, text) {
  const items = (values ?? []).map(value => {
    const item = document.createElement("li");
    item.textContent = text(value);
    return item;
  });
  document.querySelector(place).replaceChildren(...items);
}
function show({name = "…", ingredients, steps, tip}) {
  document.querySelector("h1").textContent = name;
  list("ul", ingredients, ({amount, name}) => `${amount ?? ""} ${name ?? ""}`);
  list("ol", steps, ({title, text}) => `${title ?? ""}: ${text ?? ""}`);
  document.querySelector("p").textContent = tip ?? "";
}
const timer = setInterval(() => {
  if (!patches.length) return clearInterval(timer);
  form.take(patches.shift());
  show(form.value);
}, 20);
</script>
"""


class Ingredient(BaseModel):
    """What goes in."""

    name: str
    amount: str | None


class Step(BaseModel):
    """What to do."""

    title: str
    minutes: int
    text: str


class Recipe(BaseModel):
    """What the model was asked for."""

    name: str
    serves: int
    vegetarian: bool
    ingredients: list[Ingredient]
    steps: list[Step]
    tip: str | None = None


def place_in(holder: object, key: str) -> str | int:
    """Return an index of a list, or a key of an object."""
    return int(key) if isinstance(holder, list) else key


class Form:
    """What a reader makes of numbered patches."""

    def __init__(self) -> None:
        self.value: Any = None
        """The recipe as far as it has come."""
        self._due = 0

    def take(self, message: dict[str, Any]) -> None:
        """Apply the next patch; one in the place of another is told.

        Raises:
            LookupError: A patch is missing, or came twice.
        """
        if message["number"] != self._due:
            raise LookupError(f"patch {message['number']} came where patch {self._due} was due")
        self._due += 1
        for operation in message["patch"]:
            self._apply(**operation)

    def _apply(self, op: str, path: str, value: object = None) -> None:
        root: dict[str, Any] = {"": self.value}
        holder: Any = root
        *keys, last = (key.replace("~1", "/").replace("~0", "~") for key in path.split("/"))
        for key in keys:
            holder = holder[place_in(holder, key)]
        place = place_in(holder, last)
        if op == "append":
            holder[place] += value
        elif op == "remove":
            del holder[place]
        elif op == "add" and isinstance(place, int):
            holder.insert(place, value)
        else:
            holder[place] = value
        self.value = root[""]


def messages() -> Iterator[dict[str, Any]]:
    """Give the patches of the recorded answer, each with its number."""
    with Stream(RECORDING) as stream:
        for number, patch in enumerate(stream.partials(Recipe).patches(append=True)):
            yield {"number": number, "patch": patch}


if __name__ == "__main__":
    sent = [json.dumps(message, ensure_ascii=False) for message in messages()]
    if "--page" in sys.argv:
        # Whatever stands in the recipe must not end the script.
        patches = f"[{','.join(sent)}]".replace("<", "\\u003c")
        page = Path(sys.argv[sys.argv.index("--page") + 1])
        page.write_text(PAGE.replace("PATCHES", patches), encoding="utf-8")
    else:
        form = Form()
        for line in sent:
            print(line)
            form.take(json.loads(line))
        recipe = Recipe.model_validate(form.value)
        print(f"{recipe.name}: {sum(map(len, sent)):,} characters in {len(sent)} patches")
