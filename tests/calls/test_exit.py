"""Calls at the end of the interpreter: nobody waits for ever, and it exits."""

import subprocess
import sys
import textwrap

import pytest

from tests.helpers import DEADLINE

PRELUDE = """
import threading
from tests.calls.doubles import Echo, keep, answer, until_idle, work, work_in_turns
from tests.helpers import until
import threadpool_mb as mb

kept = []
"""


def run(program: str) -> list[str]:
    """Run a program and return the lines that it prints."""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", PRELUDE + textwrap.dedent(program)],
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize("worker", ["work", "work_in_turns"])
def test_who_waits_for_a_worker_when_the_interpreter_exits_is_told_of_its_end(worker: str) -> None:
    lines = run(f"""
        pool = mb.Pool({worker})
        pool.initialize("a")

        def wait():
            try:
                mb.call(pool.ref("a"), keep(kept))
            except mb.WorkerGone as error:
                print(error.reason)

        threading.Thread(target=wait).start()
        until(lambda: kept)
    """)

    assert lines == ["worker ended"]


@pytest.mark.parametrize("worker", ["work", "work_in_turns"])
def test_a_call_that_waits_when_the_interpreter_exits_is_answered_by_a_worker_that_drains(
    worker: str,
) -> None:
    lines = run(f"""
        pool = mb.Pool({worker})
        pool.initialize("a")
        reply = mb.ask(pool.ref("a"), Echo("answered"))
        threading.Thread(target=lambda: print(reply.result())).start()
    """)

    assert lines == ["answered"]


def test_a_worker_that_waits_for_another_one_when_the_interpreter_exits_is_told() -> None:
    lines = run("""
        pool = mb.Pool(work_in_turns, max_threads=1)
        pool.initialize("a")
        pool.initialize("b")

        def ask():
            try:
                mb.call(pool.ref("b"), keep(kept))
            except mb.WorkerGone as error:
                print(error.key, error.reason)

        mb.ask(pool.ref("a"), answer(ask))
        until(lambda: kept)
    """)

    assert lines == ["b worker ended"]


def test_a_reply_that_nobody_has_read_keeps_nothing_from_exiting() -> None:
    lines = run("""
        mailbox = mb.Unlimited().create()
        reply = mb.ask(mailbox.new_input(), Echo("1"))
        reply.add_done_callback(lambda reply: None)
        future = reply.as_future()
        print(reply.done())
    """)

    assert lines == ["False"]
