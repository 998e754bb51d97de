"""Write the made tables on all pages anew: `python -m tests.made_tables`.

Those of docs/reports/ are written when a version is released, so that a change which adds a row to many of
them stays small. Tests hold what the tables are made of.
"""

from __future__ import annotations

from tests.docs import doctor_page
from tests.made_tables import error_words, lost_reasons, relay_losses, script_places, vocabulary

OF_FORMATS = (vocabulary.SECTION, error_words.SECTION)
"""The sections with a row for each format."""
OF_PROTOCOLS = (script_places.SECTION, lost_reasons.SECTION, relay_losses.SECTION)
"""The sections with a row for each format that is written."""
SECTIONS = (doctor_page.SECTION, *OF_FORMATS, *OF_PROTOCOLS)
"""All sections."""

if __name__ == "__main__":
    for _section in SECTIONS:
        _section.write()
