"""Search results that a server sends along with the answer, in fields of the whole answer."""

from __future__ import annotations

from typing import Any

from tokenstream._basics.untrusted import dicts_of, int_of, is_list, text_of
from tokenstream._message_parts import FoundImage


def images_in(fields: dict[str, Any]) -> tuple[FoundImage, ...]:
    """Return the images that Perplexity lists.

    Example:
        >>> images_in({"images": [{"image_url": "https://a.test/cat.png", "width": 300}]})[0].width
        300
    """
    return tuple(
        FoundImage(
            url=url,
            page_url=text_of(item, "origin_url"),
            title=text_of(item, "title"),
            width=int_of(item, "width"),
            height=int_of(item, "height"),
        )
        for item in dicts_of(fields.get("images"))
        if (url := text_of(item, "image_url")) is not None
    )


def questions_in(fields: dict[str, Any]) -> tuple[str, ...]:
    """Return the follow-up questions that Perplexity suggests.

    Example:
        >>> questions_in({"related_questions": ["And then?", None]})
        ('And then?',)
    """
    found = fields.get("related_questions")
    return tuple(item for item in found if isinstance(item, str)) if is_list(found) else ()
