"""The state of a machine's input: the one fact from which a driver tells whether to read on."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """The state of the input of a machine.

    | state   | is entered by                                                     | a driver then         |
    |---------|-------------------------------------------------------------------|-----------------------|
    | READING | a new connection; a chunk after which the answer simply continues | reads on              |
    | SLICED  | the first slices of a compressed chunk                            | looks at the clock    |
    | ENDING  | a chunk with an error, a terminal event or the last finish reason | asks recovery         |
    | RESTING | `Machine.rest`: recovery does not go on with another connection   | reads the rest        |
    | ENDED   | `Machine.finish`, `end_with`                                      | pulls what is left    |
    | SHUT    | `Machine.cut`, and so a guard's stop                              | pulls the `Stopped`   |

    A machine that is SHUT stays so. From all other states, `Resumption.renew` leads back to READING.
    """

    READING = "reading"
    SLICED = "sliced"
    ENDING = "ending"
    RESTING = "resting"
    ENDED = "ended"
    SHUT = "shut"


# An attribute of an `Enum` takes twenty times as long as a global.
READING, SLICED, ENDING, RESTING, ENDED, SHUT = State

OPEN = (READING, SLICED, ENDING)
"""The states in which more of the answer may follow."""
CLOSED = (ENDED, SHUT)
"""The states in which no more input is accepted."""
