"""Wire formats, which `format=` accepts: those of the APIs, and what one of your own is made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.lazy import make_lazy_loader

if TYPE_CHECKING:
    from tokenstream._providers.apis import FormatName as FormatName
    from tokenstream.formats._base import Format as Format
    from tokenstream.formats._base import Frame as Frame
    from tokenstream.formats._fast.path import Fast as Fast
    from tokenstream.formats._wire.bare_text import text as text
    from tokenstream.formats._wire.custom_mapping import custom as custom

# Loaded on first access: otherwise every module of the library that imports one of
# these modules would load them all.
_HOMES = {
    "Fast": "_fast.path",
    "Format": "_base",
    "FormatName": "._providers.apis",
    "Frame": "_base",
    "custom": "_wire.custom_mapping",
    "text": "_wire.bare_text",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = make_lazy_loader(globals(), _HOMES)
