"""Fork again and again beside threads that are busy in the library: `benchmarks.forks`.

Threads of the parent send, call, submit, make and end pools all the time, so that each lock of the
library may be held as the process forks. Each child looks at the parent's pools, executor, broker,
which must refuse it at once, then makes and uses its own, and exits: by `os._exit`, or every tenth
as a program does. A child that takes longer than ten seconds has hung.
"""

import argparse
import collections
import os
import select
import signal
import sys
import sysconfig
import threading
import time
import warnings
from collections.abc import Callable, Generator
from typing import Any, Final, final

import threadpool_mb as mb

_FINE: Final = 7
_SECONDS: Final = 10


class Ask(mb.Command[int]):
    """What is asked."""


def answers(_key: object) -> Generator[None, mb.Call[int]]:
    """Answer each call."""
    while True:
        (yield).reply_box.reply(1)


def receives(_key: object, mailbox: mb.Mailbox[int]) -> None:
    """Take each message."""
    for _ in mailbox:
        pass


def _config() -> "mb.BrokerConfig[Any, int, Any, int]":
    return mb.BrokerConfig(
        demultiplex=lambda message: message,
        create=lambda key, _: key,
        handle=lambda *_: None,
        clean=lambda *_: None,
    )


@final
class Parents:
    """What the parent uses all the time, and a child must be refused by."""

    def __init__(self) -> None:
        """Open them."""
        self.stop: bool = False
        self.pool: Final[mb.Pool[int, mb.Call[int]]] = mb.Pool(answers, inline_calls=False)
        self.full: Final = mb.Pool(receives, mailbox=mb.Blocking(4))
        self.executor: Final = mb.KeyedExecutor(2)
        self.broker: Final = mb.Broker(_config(), max_threads=2, mailbox=mb.Blocking(64))
        for key in range(4):
            self.pool.initialize(key)
            self.full.initialize(key)
            self.broker.input.deliver(mb.Initialize(key, 1))
        works = (self._call, self._call, self._send, self._submit, self._make_pools)
        self._threads: Final = [
            threading.Thread(target=self._again_and_again, args=(work,)) for work in works
        ]
        for thread in self._threads:
            thread.start()

    def _again_and_again(self, work: Callable[[int], object]) -> None:
        number = 0
        while not self.stop:
            number += 1
            work(number)

    def _call(self, number: int) -> None:
        reply = mb.ask(self.pool.ref(number % 4), Ask())
        reply.add_done_callback(lambda _: None)
        reply.result(timeout=60)

    def _send(self, number: int) -> None:
        self.full.dispatch(number % 4, number)
        self.broker.input.deliver(mb.Dispatch(number % 4, number))
        if number % 64 == 0:
            time.sleep(0)

    def _submit(self, number: int) -> None:
        self.executor.submit_keyed(number % 4, int).result()

    def _make_pools(self, _number: int) -> None:
        with mb.Pool(answers) as pool:
            for key in range(4):
                pool.initialize(key)

    def refuse_a_child(self) -> bool:
        """Return whether all say that they were made before the fork, and nobody waits."""
        attempts: tuple[Callable[[], object], ...] = (
            lambda: self.full.dispatch(0, 1),
            lambda: self.full.initialize(9),
            lambda: self.executor.submit(int),
            lambda: self.broker.input.deliver(mb.Dispatch(0, 1)),
            lambda: mb.call(self.pool.ref(0), Ask()),
        )
        for attempt in attempts:
            try:
                attempt()
            except (mb.MailboxClosed, mb.CallError, RuntimeError) as error:
                if "made before os.fork()" not in str(error):
                    return False
            else:
                return False
        self.executor.shutdown()
        reports = [self.pool.drain(timeout=None), self.full.drain(timeout=None)]
        return not any(report.finished for report in reports)

    def end(self) -> None:
        """Stop the threads, and close all."""
        self.stop = True
        for thread in self._threads:
            thread.join()
        self.pool.close()
        self.full.close()
        self.executor.shutdown()
        self.broker.drain(timeout=None)


def use_new_ones() -> bool:
    """Return whether pools, an executor and a broker that are made here work."""
    with mb.Pool(answers, inline_calls=False) as pool:
        pool.initialize("a")
        called = mb.call(pool.ref("a"), Ask())
    with mb.Pool(receives, mailbox=mb.Blocking(2)) as full:
        full.initialize("a")
        sent = full.dispatch("a", 1)
    with mb.KeyedExecutor(1) as executor:
        done = executor.submit_keyed("a", int, "1").result()
    with mb.Broker(_config()) as broker:
        broker.input.deliver(mb.Initialize(1, 1))
        finished = broker.drain(timeout=None).finished
    return (called, sent, done, finished) == (1, True, 1, True)


def _child(parents: Parents, number: int) -> None:
    code = 1
    try:
        code = _FINE if parents.refuse_a_child() and use_new_ones() else 2
    finally:
        if number % 10:
            os._exit(code)
    sys.exit(code)


def _end_of(pid: int) -> str:
    """Wait for a child, kill it if it hangs, and return how it ended."""
    # Not by an alarm that the child sets: it may hang before `os.fork` has returned there.
    handle = os.pidfd_open(pid)
    try:
        ended = bool(select.select([handle], [], [], _SECONDS)[0])
    finally:
        os.close(handle)
    if not ended:
        # Or it has ended while this process was stopped: `select` does not look again then.
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {_FINE: "fine", -signal.SIGKILL: "hung"}.get(code, f"exit code {code}")


def fork_beside_busy_threads(forks: int) -> collections.Counter[str]:
    """Fork, and count how the children end: "fine", "hung", or by their exit codes."""
    ends: collections.Counter[str] = collections.Counter()
    parents = Parents()
    try:
        for number in range(forks):
            pid = os.fork()
            if not pid:
                _child(parents, number)
            ends[_end_of(pid)] += 1
    finally:
        parents.end()
    return ends


def main() -> None:
    """Fork as often as the command line says; fail if a child did not end well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--forks", type=int, default=5000)
    forks: int = parser.parse_args().forks
    # Of a fork beside threads, which is what this is about.
    warnings.simplefilter("ignore", DeprecationWarning)
    began = time.monotonic()
    ends = fork_beside_busy_threads(forks)
    build = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    seconds = time.monotonic() - began
    counts = ", ".join(f"{count} {end}" for end, count in ends.items())
    sys.stdout.write(f"{sys.version.split()[0]}{build}: {counts}, in {seconds:.0f} s\n")
    sys.exit(ends != {"fine": forks})


if __name__ == "__main__":
    main()
