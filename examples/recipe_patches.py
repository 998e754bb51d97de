"""Show the form of recipe_form.py in a web page that receives only patches, never the whole recipe.

It prints the patches that a server would send, each as a line of JSON, and finally the
recipe that a reader builds from them. `--page FILE` writes a page that plays them.
Patches are numbered, so that a reader notices at once if one is missing or out of
order.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tokenstream import Stream

RECORDING = (
    Path(__file__).parents[1] / "tests" / "recordings" / "openai-chat" / "recipe.sse"
)
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
      // A model may write any key, and some have a special meaning in JavaScript.
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


def place_in(holder: object, key: str) -> str | int:
    """Return an index of a list, or a key of an object."""
    return int(key) if isinstance(holder, list) else key


class Form:
    """A reader of numbered patches."""

    def __init__(self) -> None:
        self.value: Any = None
        """The recipe so far."""
        self._due = 0

    def take(self, message: dict[str, Any]) -> None:
        """Apply the next patch.

        Raises:
            LookupError: A patch is missing, or was sent twice.
        """
        if message["number"] != self._due:
            raise LookupError(
                f"patch {message['number']} came where patch {self._due} was due"
            )
        self._due += 1
        for operation in message["patch"]:
            self._apply(**operation)

    def _apply(self, op: str, path: str, value: object = None) -> None:
        root: dict[str, Any] = {"": self.value}
        holder: Any = root
        *keys, last = (
            key.replace("~1", "/").replace("~0", "~") for key in path.split("/")
        )
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
    """Yield the patches of the recorded answer, each with its number."""
    with Stream(RECORDING) as stream:
        for number, patch in enumerate(stream.partials(Recipe).patches(append=True)):
            yield {"number": number, "patch": patch}


if __name__ == "__main__":
    # Print a question mark for a character that the terminal's encoding lacks.
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        reconfigure(errors="replace")
    sent = [json.dumps(message, ensure_ascii=False) for message in messages()]
    if "--page" in sys.argv:
        # No text in the recipe may end the script.
        patches = f"[{','.join(sent)}]".replace("<", "\\u003c")
        page = Path(sys.argv[sys.argv.index("--page") + 1])
        page.write_text(PAGE.replace("PATCHES", patches), encoding="utf-8")
    else:
        form = Form()
        for line in sent:
            print(line)
            form.take(json.loads(line))
        recipe = Recipe.model_validate(form.value)
        print(
            f"{recipe.name}: {sum(map(len, sent)):,} characters in {len(sent)} patches"
        )
