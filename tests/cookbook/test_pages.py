"""Each recipe is one whole program that fits a screen or is in examples/, is listed, and is run by a test."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

from tests.cookbook.programs import FOLDER, INDEX, MAX_LINES, PLACES, example_of, program_of, section_of
from tests.docs.pages import blocks, links, parts_of
from tests.support.tables import in_one_test

_RUNS = {"chat_in", "program_of", "relaying", "run_program", "watch_program", "write_program"}
"""Functions whose first argument names the recipe that they run."""
_OTHERS = ("css", "html", "js", "ts", "tsx")
"""Languages of what a program needs beside it."""
RECIPES = sorted(PLACES)
_LANGUAGES = {".py": "python", ".js": "js", ".tsx": "tsx", ".html": "html"}


@in_one_test("recipe", [recipe for recipe in RECIPES if example_of(recipe) is not None])
def test_the_page_of_an_example_links_to_it_and_shows_parts_of_it(recipe: str) -> None:
    page = section_of(recipe)
    example = example_of(recipe)
    assert example is not None
    there = [example] if example.is_file() else sorted(example.iterdir())
    files = [path for path in there if path.suffix in _LANGUAGES]
    whole = "".join(path.read_text(encoding="utf-8") for path in files)

    assert {path.name for path in files} <= {Path(link).name for link in links(page)}
    for language in _LANGUAGES.values():
        for block in blocks(page, language):
            # A part of a function is shown without its indentation.
            assert any(textwrap.indent(block.code, " " * depth) in whole for depth in (0, 2, 4)), block.code
            assert len(block.code.splitlines()) <= MAX_LINES


@in_one_test("recipe", [recipe for recipe in RECIPES if example_of(recipe) is None])
def test_a_recipe_is_one_program_that_fits_a_screen(recipe: str) -> None:
    program = program_of(recipe)

    compile(program, recipe, "exec", dont_inherit=True)
    assert len(program.splitlines()) <= MAX_LINES


@in_one_test("recipe", RECIPES)
def test_what_runs_beside_the_program_fits_a_screen_too(recipe: str) -> None:
    """A page, a component, a route handler."""
    text = section_of(recipe)
    sizes = {kind: [len(block.code.splitlines()) for block in blocks(text, kind)] for kind in _OTHERS}

    assert max(sum(sizes.values(), [0])) <= MAX_LINES


@in_one_test("recipe", RECIPES)
def test_a_recipe_is_run_by_a_test_of_its_name(recipe: str) -> None:
    """A page without one would rot, and so would one whose module runs another page's program."""
    module = Path(__file__).with_name(f"test_{recipe.replace('-', '_')}.py")
    run = [
        argument.value
        for call in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _RUNS
        for argument in call.args[:1]
        if isinstance(argument, ast.Constant)
    ]

    assert {recipe} == set(run)


def test_the_list_of_recipes_is_whole() -> None:
    """Each section is found from the list, and each row of the list leads to one, whose program is run."""
    listed = [link for link in links(INDEX.read_text(encoding="utf-8")) if link.startswith("cookbook/")]
    sections = [part.name.removeprefix("docs/") for page in FOLDER.glob("*.md") for part in parts_of(page)]

    assert sorted(sections) == sorted(listed)
    assert sorted(sections) == sorted(f"cookbook/{place}" for place in PLACES.values())
