"""The job that an answer belongs to, whichever process reads the answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tokenstream._basics.call_keys import AnswerIdentity
from tokenstream._pipeline.checkpoints import check_checkpoint, is_over
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from tokenstream._pipeline.machine import Machine
    from tokenstream.message import Checkpoint


@dataclass(frozen=True, slots=True)
class Job:
    """The piece of work that an answer is part of, with the answer as an earlier process has left it.

    Example:
        >>> Job("order 7").checkpoint is None
        True
    """

    id: str
    """Your own id for the answer, which all processes know, such as a task's id and the number of a turn."""
    keep: str | PathLike[str] | Callable[[Checkpoint], object] | None = field(default=None, kw_only=True)
    """Keeps the answer for the next process: a file, which is read if no checkpoint is given, or a function;
    for an `AsyncStream`, also an async one. It gets a checkpoint at most once a second, before a call is
    handed out, and at the end. If it fails, that is logged once. None to keep nothing."""
    checkpoint: Checkpoint | None = field(default=None, kw_only=True, repr=False)
    """The answer as an earlier process has left it, with which this one goes on; None for a new one."""

    def __post_init__(self) -> None:
        id: object = self.id
        if not isinstance(id, str) or not id:
            raise MisuseError(f"job= takes an id of yours for this answer, such as a uuid, not {id!r}")
        if self.checkpoint is not None:
            check_checkpoint(self.checkpoint)
            kept = self.checkpoint.identity
            if kept is not None and kept.kind == "given" and kept.id != id:
                raise MisuseError(f"the checkpoint belongs to the job {kept.id!r}, and not to {id!r}")

    def read(self) -> Job:
        """Return the job with the checkpoint that its file has, if none is given and there is one."""
        if self.keep is None or callable(self.keep) or self.checkpoint is not None:
            return self
        from tokenstream.message import Checkpoint

        file = Path(self.keep)
        try:
            return replace(self, checkpoint=Checkpoint.model_validate_json(file.read_bytes()))
        except FileNotFoundError:
            return self
        except ValidationError as error:
            raise MisuseError(f"{file.name} has no checkpoint, which keep= would replace") from error

    def find_driver(self, kind: Any) -> Any:  # noqa: ANN401 - a class of drivers
        """Return the class of drivers that keeps checkpoints; `kind` itself if nothing is kept."""
        if self.keep is None:
            return kind
        from tokenstream.stream._keeping import AsyncKeepingDriver, KeepingDriver

        return KeepingDriver if issubclass(KeepingDriver, kind) else AsyncKeepingDriver

    @property
    def is_over(self) -> bool:
        """True if the answer had ended, so that nothing is left to ask for."""
        return self.checkpoint is not None and is_over(self.checkpoint)

    def begin(self, machine: Machine) -> None:
        """Give a new machine the answer's identity and, if there is a checkpoint, the answer so far."""
        machine.accumulator.calls.identify(AnswerIdentity("given", self.id))
        machine.asked.note_given_id(self.id)
        if self.checkpoint is not None:
            machine.restore(self.checkpoint)
