"""Write the made tables on all pages anew: `python -m tests.made_tables`."""

from __future__ import annotations

from tests import doctor_page, lost_reasons, relay_losses, script_places, vocabulary

OF_FORMATS = (vocabulary.SECTION,)
"""The sections with a row for each format."""
OF_PROTOCOLS = (script_places.SECTION, lost_reasons.SECTION, relay_losses.SECTION)
"""The sections with a row for each format that is written."""
SECTIONS = (doctor_page.SECTION, *OF_FORMATS, *OF_PROTOCOLS)
"""All sections."""

if __name__ == "__main__":
    for _section in SECTIONS:
        _section.write()
