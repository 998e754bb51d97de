"""Configuration of the documentation site, for Sphinx: `sphinx-build -W docs build/site`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent / "_programs")]

import tokenstream

project = "tokenstream"
author = "the tokenstream authors"
release = version = tokenstream.__version__
html_title = "tokenstream"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "site_hooks",
    "site_reference",
    "site_search",
]
exclude_patterns = ["guides/quickstarts/*", "reports/*"]
default_role = "py:obj"
html_theme = "furo"
# One accent, for links, names and marks. On each page it has a contrast of at least 4.5.
_ACCENT = ("brand-primary", "brand-content", "brand-visited", "api-name", "api-pre-name")
html_theme_options = {
    "light_css_variables": {f"color-{place}": "#0f766e" for place in _ACCENT},
    "dark_css_variables": {f"color-{place}": "#4fd1bd" for place in _ACCENT},
}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["tabs.js"]
html_copy_source = False
html_show_copyright = False
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
