"""`close_at_exit`: closing at interpreter exit what was left open."""

import gc
import subprocess
import sys
import textwrap
import threading
import weakref

import pytest

from threadpool_mb.arguments import Deadline
from threadpool_mb.scheduling import exit_hook
from threadpool_mb.scheduling.exit_hook import close_at_exit


@pytest.fixture(autouse=True)
def _the_interpreter_does_not_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test call what runs at exit, and leave no trace of it."""
    monkeypatch.setattr(exit_hook, "_open", {})
    monkeypatch.setattr(exit_hook, "_exiting", threading.Event())


class Owner:
    """Counts how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        """Count."""
        self.closed += 1

    def waits_for(self, deadline: Deadline) -> str | None:
        """Have no threads."""

    def forked(self) -> bool:
        """Be of no use in a child."""
        return False


def test_what_is_alive_at_exit_is_closed() -> None:
    owners = [Owner(), Owner()]
    for owner in owners:
        close_at_exit(owner)

    exit_hook._close_all()

    assert [owner.closed for owner in owners] == [1, 1]


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt(), SystemExit()])
def test_an_owner_whose_close_raises_is_logged_and_the_others_are_closed_all_the_same(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    class Raising(Owner):
        def close(self) -> None:
            raise error

    owners = [Owner(), Raising(), Owner()]
    for owner in owners:
        close_at_exit(owner)

    exit_hook._close_all()

    assert (owners[0].closed, owners[2].closed) == (1, 1)
    assert [record.exc_info[1] for record in caplog.records] == [error]


def test_an_owner_is_not_kept_alive() -> None:
    owner = Owner()
    reference = weakref.ref(owner)
    close_at_exit(owner)

    del owner
    gc.collect()

    assert reference() is None
    exit_hook._close_all()


def test_dead_owners_are_forgotten() -> None:
    for _ in range(100):
        close_at_exit(Owner())
    gc.collect()

    assert exit_hook._open == {}


def test_an_owner_that_comes_while_the_interpreter_exits_is_closed_at_once() -> None:
    exit_hook._close_all()
    owner = Owner()

    close_at_exit(owner)

    assert owner.closed == 1
    assert exit_hook._open == {}


def test_owners_are_closed_before_the_interpreter_joins_threads_and_before_atexit() -> None:
    program = textwrap.dedent("""
        import atexit, threading
        from threadpool_mb.scheduling.exit_hook import close_at_exit

        closed = threading.Event()

        class Owner:
            def close(self):
                print("closed")
                closed.set()

            def waits_for(self, deadline):
                pass

        def wait():
            assert closed.wait(15)
            print("the thread ends")

        atexit.register(print, "atexit")
        owner = Owner()
        close_at_exit(owner)
        threading.Thread(target=wait).start()
    """)

    process = subprocess.run(  # noqa: S603 - the interpreter that runs this test
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=15, check=False
    )

    assert process.stdout == "closed\nthe thread ends\natexit\n"
    assert (process.returncode, process.stderr) == (0, "")
