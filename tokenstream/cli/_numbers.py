"""Numbers on the command line, as types for argparse."""

from __future__ import annotations

import argparse
import math


def parse_number(argument: str, expected: str, *, zero: bool = False) -> float:
    """Return a number from the command line.

    Args:
        expected: The description of a valid argument, for the message.
        zero: True to allow 0, in addition to numbers above 0.

    Raises:
        argparse.ArgumentTypeError: The argument is not a number, is too small, or is infinite.
    """
    try:
        number = float(argument)
    except ValueError:
        # NaN is refused below, as it is neither more nor less than any number.
        number = math.nan
    is_allowed_zero = zero and number == 0
    if not (0 < number < math.inf or is_allowed_zero):
        msg = f"{argument!r} is not {expected}"
        raise argparse.ArgumentTypeError(msg)
    return number
