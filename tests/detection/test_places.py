"""The paths of endpoints, by which a format is guessed before the first payload."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import registry
from tests.support.paths import PATHS
from tests.support.tables import in_one_test
from tokenstream._providers.apis import all_apis

if TYPE_CHECKING:
    from tokenstream._providers.apis import APIRecord


@in_one_test(("path", "format"), PATHS.items())
def test_a_path_has_one_format(path: str, format: str) -> None:
    """No path matches two rows, so that their order says nothing."""
    matching = [name for end, name in registry.path_patterns() if end.search(path)]

    assert [format] == matching
    assert format == registry.format_of_path(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "api", [api for api in all_apis() if api.paths is not None], ids=lambda api: api.name
)
@given(st.data())
def test_no_path_of_an_api_is_that_of_another(api: APIRecord, data: st.DataObject) -> None:
    path = data.draw(st.from_regex(f"^(/v1|/models/m)?(?:{api.paths})$", fullmatch=True))

    assert [api.name] == [name for end, name in registry.path_patterns() if end.search(path)]


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/chat", "/v1/models", "/completionsx"])
def test_other_paths_have_none(path: str) -> None:
    assert registry.format_of_path(path) is None
