"""A Dask cluster of processes that a test may kill, by their ids, and add."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

ROOT: Final = Path(__file__).parent.parent.parent
PATIENCE: Final = 60.0
"""Seconds that a process has to start, on a machine that does much else."""


class Process:
    """A process that prints its address as it has begun."""

    def __init__(self, kind: str, *arguments: str) -> None:
        self.output: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `end`
        self.process = subprocess.Popen(  # noqa: S603 - this interpreter
            [sys.executable, "-m", "tests.cluster.machine", kind, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=self.output,
            stdin=subprocess.PIPE,
            text=True,
        )
        self._address = ""
        self._killed = False

    @property
    def address(self) -> str:
        """Its address; waits until it has begun."""
        if not self._address:
            assert self.process.stdout is not None
            self._address = self.process.stdout.readline().strip()
            if not self._address:
                self.output.seek(0)
                raise AssertionError(self.output.read())
        return self._address

    def kill(self) -> None:
        """Kill it, as the system does that has no memory left."""
        self._killed = True
        self.process.send_signal(signal.SIGKILL)
        self._over()

    def ended_by_itself(self) -> bool:
        """Return whether it has ended.

        Raises:
            AssertionError: if it was not asked to, and not killed.
        """
        status = self.process.poll()
        if status is None:
            return False
        if not self._killed:
            errors = self.errors()
            self._over()
            raise AssertionError(f"{self._address} has ended by itself, {status}: {errors}")
        return True

    def freeze(self) -> None:
        """Stop it, until it goes on or is killed."""
        self.process.send_signal(signal.SIGSTOP)

    def errors(self) -> str:
        """Return what it has written to its standard error."""
        return os.pread(self.output.fileno(), 1_000_000, 0).decode(errors="replace")

    def end(self) -> None:
        """Have it end."""
        assert self.process.stdin is not None
        self._killed = True
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
            self._over()
            return
        self.kill()

    def _over(self) -> None:
        self.process.wait(PATIENCE)
        for file in (self.process.stdin, self.process.stdout, self.output):
            assert file is not None
            with contextlib.suppress(BrokenPipeError):
                file.close()


class Machines:
    """A scheduler and its Dask workers."""

    def __init__(self) -> None:
        self._scheduler = Process("scheduler")
        self._workers: list[Process] = []

    @property
    def address(self) -> str:
        """The scheduler's address."""
        return self._scheduler.address

    def workers(self) -> dict[str, Process]:
        """Return the Dask workers that run, by address."""
        for each in list(self._workers):
            if each.ended_by_itself():
                self._workers.remove(each)
        return {each.address: each for each in self._workers}

    def have(self, count: int) -> None:
        """Have as many Dask workers."""
        while len(self.workers()) < count:
            missing = count - len(self._workers)
            self._workers += [Process("worker", self.address) for _ in range(missing)]
            for each in self._workers:
                assert each.address
        for each in self._workers[count:]:
            each.end()
        del self._workers[count:]

    def add(self) -> str:
        """Start a Dask worker more; return its address."""
        worker = Process("worker", self.address)
        self._workers.append(worker)
        return worker.address

    def kill(self, address: str) -> None:
        """Kill a Dask worker."""
        self.workers()[address].kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for each in self.workers().values():
            each.end()
        self._scheduler.end()
