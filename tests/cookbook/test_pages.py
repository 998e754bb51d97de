"""Each recipe is one whole program that fits a screen, is listed, and is run by a test."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.cookbook.programs import FOLDER, INDEX, MAX_LINES, program_of
from tests.docs_pages import blocks, links

_RUNS = {"chatting", "program_of", "relaying", "run_program", "watch_program", "write_program"}
"""Functions whose first argument names the recipe that they run."""
_OTHERS = ("css", "html", "js", "ts", "tsx")
"""Languages of what a program needs beside it."""
RECIPES = sorted(path.stem for path in FOLDER.glob("*.md"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_one_program_of_at_most_sixty_lines(recipe: str) -> None:
    """It can be copied whole, and read without scrolling far."""
    program = program_of(recipe)

    compile(program, recipe, "exec", dont_inherit=True)
    assert len(program.splitlines()) <= MAX_LINES


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_runs_beside_the_program_fits_a_screen_too(recipe: str) -> None:
    """A page, a component, a route handler."""
    text = (FOLDER / f"{recipe}.md").read_text(encoding="utf-8")
    sizes = {kind: [len(block.code.splitlines()) for block in blocks(text, kind)] for kind in _OTHERS}

    assert max(sum(sizes.values(), [0])) <= MAX_LINES


@pytest.mark.parametrize("recipe", RECIPES)
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
    """Each page is found from the list, and each row of the list leads to a page."""
    listed = [link for link in links(INDEX.read_text(encoding="utf-8")) if link.startswith("cookbook/")]

    assert RECIPES == sorted(link.removeprefix("cookbook/").removesuffix(".md") for link in listed)
