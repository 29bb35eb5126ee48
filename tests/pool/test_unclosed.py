"""Pools that nobody closes: collected, or open when the interpreter exits."""

import gc
import subprocess
import sys
import textwrap
import warnings

import pytest

from tests.helpers import until
from tests.pool.witness import Witness, named
from threadpool_mb import Pool


def test_a_pool_that_is_dropped_unclosed_warns_and_handles_its_backlog(witness: Witness) -> None:
    gate = witness.gate()
    pools = [Pool(witness.work, name="dropped", on_worker_exit=witness.exits.append)]
    pools[0].initialize("a", gate)
    for number in range(3):
        pools[0].dispatch("a", number)
    gate.wait_until_reached()

    with pytest.warns(ResourceWarning, match=r"unclosed <Pool 'dropped'>"):
        pools.clear()
    gate.open()
    until(lambda: not named("dropped-"))

    assert witness.handled == [("a", 0), ("a", 1), ("a", 2)]
    assert witness.ended == [("a", None)]


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_a_pool_that_was_closed_but_not_joined_warns_of_nothing(witness: Witness, end: str) -> None:
    pool = Pool(witness.work, name="dropped")
    pool.initialize("a")
    getattr(pool, end)()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del pool
        gc.collect()
    until(lambda: not named("dropped-"))

    assert caught == []


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program that has a pool `pool` whose workers print what they handle."""
    beginning = """
        import sys
        from threading import Event
        from threadpool_mb import Pool

        opened = Event()

        def worker(key, mailbox):
            assert opened.wait(15)
            for message in mailbox:
                print(key, message)
            print(key, "has ended")

        pool = Pool(worker)
        pool.initialize("a", 1)
        pool.dispatch("a", 2)
    """
    code = textwrap.dedent(beginning) + textwrap.dedent(program)
    return subprocess.run(  # noqa: S603 - the interpreter that runs this test
        [sys.executable, "-W", "ignore::ResourceWarning", "-c", code],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )


def test_the_interpreter_exits_once_the_backlog_of_an_open_pool_is_handled() -> None:
    process = run("opened.set()")

    assert process.stdout == "a 1\na 2\na has ended\n"
    assert (process.returncode, process.stderr) == (0, "")


def test_the_backlog_is_handled_too_if_the_main_thread_dies_of_an_exception() -> None:
    process = run("opened.set()\nraise ValueError('the main thread')")

    assert process.stdout == "a 1\na 2\na has ended\n"
    assert process.returncode == 1
    assert process.stderr.endswith("ValueError: the main thread\n")


def test_the_exit_status_of_the_program_stays_its_own() -> None:
    process = run("opened.set()\nsys.exit(3)")

    assert process.stdout == "a 1\na 2\na has ended\n"
    assert (process.returncode, process.stderr) == (3, "")


def test_workers_that_wait_for_messages_do_not_keep_the_interpreter_from_exiting() -> None:
    process = run("""
        opened.set()
        while pool.stats().waiting:
            pass
    """)

    assert process.stdout == "a 1\na 2\na has ended\n"
    assert (process.returncode, process.stderr) == (0, "")


def test_what_a_worker_sends_while_the_interpreter_exits_is_refused_to_it() -> None:
    process = run("""
        from threadpool_mb import PoolClosed

        def late(key, mailbox):
            for message in mailbox:
                pass
            try:
                pool.dispatch("a", 3)
            except PoolClosed:
                print("refused")

        other = Pool(late)
        other.initialize("b")
        opened.set()
        pool.close()
        pool.join()
    """)

    assert process.stdout == "a 1\na 2\na has ended\nrefused\n"
    assert (process.returncode, process.stderr) == (0, "")


def test_a_pool_that_is_made_while_the_interpreter_exits_is_closed_from_the_start() -> None:
    process = run("""
        from threading import Thread, main_thread
        from threadpool_mb import PoolClosed

        def make_late():
            main_thread().join()
            pool.join()
            with Pool(worker, name="late") as late:
                try:
                    late.initialize("a")
                except PoolClosed as error:
                    print(error)

        Thread(target=make_late).start()
        opened.set()
    """)

    *handled, refused = process.stdout.splitlines()
    assert handled == ["a 1", "a 2", "a has ended"]
    assert "the pool 'late' " in refused
    assert (process.returncode, process.stderr) == (0, "")
