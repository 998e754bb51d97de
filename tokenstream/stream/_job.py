"""The job that an answer belongs to, whichever process reads it, and the drivers that keep it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tokenstream._basics.call_keys import AnswerIdentity
from tokenstream._basics.interrupts import is_of_signal
from tokenstream._pipeline.checkpoints import check_checkpoint, find_ending
from tokenstream.errors import AnswerFailure, MisuseError
from tokenstream.events import ToolCallDone
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._driver import Driver
from tokenstream.stream._guarding import is_awaited
from tokenstream.stream._log import warn
from tokenstream.stream._sync_driver import SyncDriver

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tokenstream._pipeline.machine import Machine
    from tokenstream.events import Event
    from tokenstream.message import Checkpoint
    from tokenstream.stream._options import Options

_PAUSE = 1.0
"""The least number of seconds between two checkpoints of an answer that goes on."""
_MOST_SECONDS = 5.0
"""The time after which an asynchronous stream gives up a save, whose end its reader awaits."""


@dataclass(frozen=True, slots=True)
class Job:
    """The piece of work that an answer is part of, with the answer as an earlier process has left it.

    Example:
        >>> Job("order 7").checkpoint is None
        True
    """

    id: str
    """Your own id for the answer, which all processes know, such as a task's id and the number of a turn."""
    keep: str | os.PathLike[str] | Callable[[Checkpoint], object] | None = field(default=None, kw_only=True)
    """Keeps the answer for the next process: a file, which is read if no checkpoint is given, or a function;
    for an `AsyncStream`, also an async one. It gets a checkpoint at most once a second, before a call is
    handed out, and at the end. If it fails, or takes an `AsyncStream` more than five seconds, that is logged
    once. None to keep nothing."""
    checkpoint: Checkpoint | None = field(default=None, kw_only=True, repr=False)
    """The answer as an earlier process has left it, with which this one goes on; None for a new one."""

    def __post_init__(self) -> None:
        id: Any = self.id
        if not isinstance(id, str) or not id:
            raise MisuseError(f"job= takes an id of yours for this answer, such as a uuid, not {id!r}")
        keep: Any = self.keep
        if not (keep is None or callable(keep) or isinstance(keep, str | os.PathLike)):
            raise MisuseError(f"keep= takes a file or a function, not {keep!r}")
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
        if file.is_dir():
            raise MisuseError(f"keep= takes a file or a function, not the directory {file.name}")
        try:
            return replace(self, checkpoint=Checkpoint.model_validate_json(file.read_bytes()))
        except FileNotFoundError:
            return self
        except ValidationError as error:
            why = "has no checkpoint, which keep= would replace: name another file, or delete it"
            raise MisuseError(f"{file.name} {why}") from error

    def find_driver(self, kind: Any) -> Any:  # noqa: ANN401 - a class of drivers
        """Return the class of drivers that keeps checkpoints; `kind` itself if nothing is kept."""
        keeping = KeepingDriver if kind is SyncDriver else AsyncKeepingDriver
        return kind if self.keep is None else keeping

    @property
    def is_over(self) -> bool:
        """True if the answer had ended, so that nothing is left to ask for."""
        return self.checkpoint is not None and find_ending(self.checkpoint) is not None

    def begin(self, machine: Machine) -> None:
        """Give a new machine the answer's identity and, if there is a checkpoint, the answer so far."""
        machine.accumulator.calls.identify(AnswerIdentity("given", self.id))
        machine.asked.note_given_id(self.id)
        if self.checkpoint is not None:
            machine.restore(self.checkpoint)


def to_job(job: Job | str | None) -> Job | None:
    """Return the job that an option names, perhaps by its id alone."""
    return None if job is None else job.read() if isinstance(job, Job) else Job(job)


class _Keeping(Driver):
    """Base of the drivers that keep checkpoints, by the function or in the file that the job names.

    It only saves money, so a failure is logged once, and ends no answer.
    """

    def __init__(self, source: Any, options: Options) -> None:  # noqa: ANN401 - a source of either kind
        job: Any = options.job
        self._keep: Any = job.keep if callable(job.keep) else partial(write_file, job.keep)
        if isinstance(self, SyncDriver) and is_awaited(self._keep):
            raise MisuseError("keep= is an async def, which a Stream does not await: use a plain def")
        self._due = float("-inf")
        """The clock reading from which the next checkpoint is kept: a pause after the last save has ended."""
        self._save_failed = self._kept_last = False
        super().__init__(source, options)  # type: ignore[call-arg] # that of a driver in a loop

    def _find_due(self, event: Event | None) -> Checkpoint | None:
        """Return the checkpoint to keep before an event is handed out; None if none is due."""
        if event is None or (self.clock() < self._due and event.__class__ is not ToolCallDone):
            return None
        return self.machine.progress.checkpoint()

    def _find_last(self) -> Checkpoint | None:
        """Return the checkpoint of an answer that has ended, once; None before, and if nothing was read."""
        if self._kept_last or not self.has_ended or not self.was_opened:
            return None
        self._kept_last, error = True, self.error
        return error.checkpoint if isinstance(error, AnswerFailure) else self.machine.progress.checkpoint()

    def _note_saved(self, error: Exception | None) -> None:
        """Note that a save has ended, perhaps with an error."""
        self._due = self.clock() + _PAUSE
        if error is not None and not self._save_failed:
            self._save_failed = True
            why = getattr(error, "strerror", None) or type(error).__name__
            warn("an answer could not be kept for another process: %s", why, of=self.machine)


class KeepingDriver(_Keeping, SyncDriver):
    """Keeps checkpoints in the thread that reads the stream."""

    def __next__(self, pauses: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - as in the base class
        return self._save_before(super().__next__(pauses))

    def _step(self, *given: Any, **more: Any) -> Any:  # noqa: ANN401 - as in the base class
        return self._save_before(super()._step(*given, **more))

    def close_source(self, *, quiet: bool = False) -> None:
        try:
            super().close_source(quiet=quiet)
        finally:
            self._save(self._find_last())

    def _save_before(self, event: Any) -> Any:  # noqa: ANN401 - an event, or None
        try:
            self._save(self._find_due(event))
        except BaseException:
            self.machine.way.give_again(event)
            raise
        return event

    def _save(self, kept: Checkpoint | None) -> None:
        if kept is None:
            return
        failed = None
        try:
            self._keep(kept)
        except Exception as error:
            if is_of_signal(error):
                raise
            failed = error
        self._note_saved(failed)


class AsyncKeepingDriver(_Keeping, AsyncDriver):
    """Keeps checkpoints by an async function, or by a plain one in a thread."""

    _saved: Any = None
    """The event that the last save sets at its end; None once that was seen."""

    async def next_event(self, until: float | None = None, pauses: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 # pyright: ignore[reportIncompatibleMethodOverride] # as in the base class
        return await self._save_before(await super().next_event(until, pauses=pauses))

    __anext__ = next_event

    async def _step(self, advance: Callable[[], Awaitable[Event | None]]) -> Event | None:
        return await self._save_before(await super()._step(advance))

    def poll_fast(self) -> Event | None:
        return None  # so that `_step` gets each event

    async def close_source(self, *, failed: bool = False, quiet: bool = False) -> None:
        try:
            await super().close_source(failed=failed, quiet=quiet)
        finally:
            last = self._find_last()
            if (last or self._saved) is not None:
                from anyio import CancelScope

                with CancelScope(shield=True):
                    await self._wait_for_save(last)

    async def _save_before(self, event: Event | None) -> Event | None:
        """Return an event, before which a checkpoint is kept if one is due.

        If the read is cancelled, the save goes on, and the next read gives the event once it has ended.
        """
        kept = self._find_due(event) if self._saved is None else None
        if event is not None and (kept or self._saved) is not None:
            try:
                with self.pump.hold():
                    await self._wait_for_save(kept)
            except BaseException:
                self.machine.way.give_again(event)
                raise
        return event

    async def _wait_for_save(self, kept: Checkpoint | None) -> None:
        """Wait for the save in progress, or keep a checkpoint after it.

        That is done in a task that no cancellation of a read ends.
        """
        saved = self._saved
        if kept is not None:
            from anyio import Event

            before, self._saved = saved, (saved := Event())
            if not self.pump.spawn(self._save, kept, before, saved):
                # On trio, which has no cancellation but that of scopes, a shield is enough.
                await self._save(kept, before, saved)
        await saved.wait()
        self._saved = None

    async def _save(self, kept: Checkpoint, before: Any, saved: Any) -> None:  # noqa: ANN401 - events of anyio
        from anyio import fail_after
        from anyio.to_thread import run_sync

        failed = None
        try:
            with fail_after(_MOST_SECONDS, shield=True):
                if before is not None:
                    await before.wait()
                if is_awaited(self._keep):
                    await self._keep(kept)
                else:
                    await run_sync(self._keep, kept, abandon_on_cancel=True)
        except Exception as error:  # noqa: BLE001 - any failure of the caller's function
            failed = error
        finally:
            saved.set()
        self._note_saved(failed)


def write_file(path: str | os.PathLike[str], kept: Checkpoint) -> None:
    """Write a checkpoint beside a file, and then put it in the file's place."""
    beside = Path(f"{os.fspath(path)}.{os.getpid()}")
    try:
        beside.write_text(kept.model_dump_json(), encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
