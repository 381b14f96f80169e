"""Code of other distributions, each run in a process of its own, with limits of time and memory.

Here: that process, hearing what it says, and naming how it broke down. Not here: what an importer or an exporter is
asked for and may say (`ingest.apart`, `exporting.apart`).

What comes back is JSON, never pickle: reading pickle would let that code run in the server after all.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Any, TypeVar

import orjson

from cohortium_platform.settings import ENVIRONMENT_PREFIX

__all__ = ["ApartLimits", "BrokeDown", "Saying", "run_apart"]

A = TypeVar("A")
_LISTEN_SECONDS = 1.0
_END_SECONDS = 5.0
_LONGEST = 2**20
_DONE, _BROKE, _MEMORY = "done", "broke", "memory"


@dataclass(frozen=True, slots=True)
class ApartLimits:
    """What the process may use: seconds on the clock, bytes of memory, and bytes of any one file that it writes."""

    seconds: float
    bytes: int
    file_bytes: int = 64 * 2**30


class BrokeDown(Exception):  # noqa: N818 - the name says what happened
    """The process did not do what it was asked. Its words follow the name of what ran there: "took longer than ..."."""


@dataclass(slots=True)
class Saying:
    """How code in the process tells the server something."""

    sending: Connection

    def say(self, name: str, **said: object) -> None:
        """Pass something on."""
        self.sending.send_bytes(orjson.dumps([name, said], default=str))


def run_apart(  # noqa: PLR0913 - what, of what, within what, and who listens
    name: str,
    work: Callable[[A, Saying], None],
    asked: A,
    limits: ApartLimits,
    hear: Callable[[str, Mapping[str, Any]], None],
    *,
    waiting: Callable[[], None] = lambda: None,
) -> None:
    """Call `work` of a module in a process of its own; `hear` is given all that it says, and may raise what it likes.

    `waiting` is called at least every few seconds. Raises `BrokeDown`, also when `hear` cannot make sense of something
    (`KeyError`, `TypeError`, `ValueError`, `AttributeError`). The process has ended when this returns or raises.
    """
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_begin, args=(work, asked, limits, Saying(sending)), name=name, daemon=True)
    process.start()
    sending.close()
    try:
        _listen(receiving, process, hear, waiting, monotonic() + limits.seconds)
    except EOFError:
        process.join(_END_SECONDS)
        raise BrokeDown(_ending(process.exitcode)) from None
    finally:
        process.kill()
        process.join()
        receiving.close()


def _listen(
    receiving: Connection,
    process: BaseProcess,
    hear: Callable[[str, Mapping[str, Any]], None],
    waiting: Callable[[], None],
    until: float,
) -> None:
    while monotonic() < until:
        waiting()
        if receiving.poll(_LISTEN_SECONDS):
            if _take(receiving.recv_bytes(_LONGEST), hear):
                return
        elif not process.is_alive() and not receiving.poll():
            raise EOFError
    raise BrokeDown("took longer than it may")


def _take(message: bytes, hear: Callable[[str, Mapping[str, Any]], None]) -> bool:
    """Take one thing said; True when it was the last."""
    try:
        name, said = orjson.loads(message)
        if name == _DONE:
            return True
        if name not in {_BROKE, _MEMORY}:
            hear(name, said)
            return False
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BrokeDown("broke down") from None
    raise BrokeDown("needed more memory than it may" if name == _MEMORY else "broke down")


def _ending(code: int | None) -> str:
    """How a process ended that said nothing at its end."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        if -code == signal.SIGXFSZ:
            return "wrote a larger file than it may"
        return f"crashed ({name})" if -code != signal.SIGKILL else "was killed: the machine may have been out of memory"
    return "stopped without a word" if code is None else f"stopped without a word (exit code {code})"


def _begin(
    work: Callable[[A, Saying], None], asked: A, limits: ApartLimits, saying: Saying
) -> None:  # pragma: no cover - runs in the other process
    """Do the work, in a process that began for this alone and has nothing of the server's settings."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.bytes, limits.bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name in [name for name in os.environ if name.startswith(ENVIRONMENT_PREFIX)]:
        del os.environ[name]
    with suppress(BrokenPipeError):
        try:
            work(asked, saying)
        except MemoryError:
            saying.say(_MEMORY)
        except Exception:  # noqa: BLE001 - whatever it is, it may quote a record: none of it is passed on
            saying.say(_BROKE)
        saying.say(_DONE)
