"""The patches of examples/recipe_patches.py make the recipe; one that is missing is told."""

from __future__ import annotations

import json
import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.docs.examples import EXAMPLES, printed_by
from tests.support.node import node_in
from tokenstream import Stream

_EXAMPLE = runpy.run_path(str(EXAMPLES / "recipe_patches.py"))


def _recipe() -> dict[str, Any]:
    with Stream(_EXAMPLE["RECORDING"]) as stream:
        recipe: dict[str, Any] = stream.result(_EXAMPLE["Recipe"]).model_dump(mode="json")
    return recipe


@pytest.mark.slow
def test_the_patches_make_the_recipe() -> None:
    """Line by line, as they are printed."""
    *lines, said = printed_by("recipe_patches.py").splitlines()
    form = _EXAMPLE["Form"]()
    for line in lines:
        form.take(json.loads(line))

    assert form.value == _recipe()
    assert said.startswith("Crêpes with lemon: ")
    assert sum(map(len, lines)) < 40 * len(json.dumps(_recipe()))


@pytest.mark.parametrize("order", [[0, 2], [0, 1, 1], [1], [0, 1, 3, 2]])
def test_a_patch_out_of_order_is_reported(order: list[int]) -> None:
    """One that is missing, one that comes twice, a start that is none."""
    messages = list(_EXAMPLE["messages"]())
    form = _EXAMPLE["Form"]()
    with pytest.raises(LookupError, match=r"patch \d came where patch \d was due"):
        for number in order:
            form.take(messages[number])


@pytest.mark.slow
def test_the_page_makes_the_recipe(tmp_path: Path) -> None:
    node = node_in(tmp_path)
    if node is None:
        pytest.skip("needs Node")
    page = tmp_path / "recipe.html"
    printed_by("recipe_patches.py", "--page", str(page))
    script = page.read_text(encoding="utf-8").split("<script>\n")[1].split("</script>")[0]
    reader = script.split("// -- the page --")[0]
    patches = script.split("const patches = ")[1].split(";\n")[0]
    program = f"""{reader}
    const form = new Form();
    const patches = {patches};
    for (const message of patches) form.take(message);
    let told = "";
    try {{ new Form().take(patches[1]); }} catch (error) {{ told = error.message; }}
    const other = new Form();
    other.take({{number: 0, patch: [{{op: "replace", path: "", value: {{list: [1, 2], "a/b~": {{}}}}}}]}});
    other.take({{number: 1, patch: [{{op: "remove", path: "/list/0"}},
      {{op: "add", path: "/list/1", value: 3}},
      {{op: "add", path: "/a~1b~0/", value: "x"}}, {{op: "append", path: "/a~1b~0/", value: "y"}},
      {{op: "add", path: "/value", value: null}}, {{op: "remove", path: "/value"}}]}});
    try {{
      new Form().take({{number: 0, patch: [{{op: "add", path: "/__proto__/x", value: 1}}]}});
    }} catch (error) {{ told += "; " + error.message; }}
    console.log(JSON.stringify([form.value, told, other.value]));"""
    done = subprocess.run([node, "-e", program], capture_output=True, text=True, encoding="utf-8", check=True)

    assert json.loads(done.stdout) == [
        _recipe(),
        "patch 1 came where patch 0 was due; no key of a recipe: __proto__",
        {"list": [2, 3], "a/b~": {"": "xy"}},
    ]
