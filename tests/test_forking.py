"""`forking`: what a child finds; and the latch that a child can open."""

import ast
import threading
from pathlib import Path

import pytest

import threadpool_mb
from tests.forks import run
from tests.helpers import in_thread, run_together
from threadpool_mb.arguments import AT_ONCE, NEVER, Deadline
from threadpool_mb.forking import remake
from threadpool_mb.threads.latches import Latch

PACKAGE = Path(threadpool_mb.__file__).parent


def module_locks() -> dict[str, bool]:
    """Return the locks of modules, and whether each is remade in children."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
                continue
            calls = {ast.unparse(each.func) for each in ast.walk(node.value)
                     if isinstance(each, ast.Call)}  # fmt: skip
            if calls & {"threading.RLock", "threading.Lock", "threading.Condition"}:
                target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                found[f"{module}.{ast.unparse(target)}"] = "remade_in_children" in calls
    return found


def test_each_lock_of_a_module_is_remade_in_children() -> None:
    locks = module_locks()

    assert len(locks) >= 6
    assert [name for name, remade in locks.items() if not remade] == []


@pytest.mark.parametrize("name", module_locks())
def test_a_lock_of_a_module_that_another_thread_held_at_the_fork_does_not_hang_the_child(
    name: str,
) -> None:
    module, _, lock = name.rpartition(".")
    lines = run(f"""
        import asyncio
        from {module} import {lock} as lock

        def answers(key):
            while True:
                (yield).reply_box.reply("answer")

        def receives(key, mailbox):
            for message in mailbox:
                print(message)

        def child():
            with mb.Pool(answers, inline_calls=False) as pool, mb.KeyedExecutor() as executor:
                pool.initialize("a")
                print(mb.call(pool.ref("a"), Ask()))
                print(asyncio.run(mb.aio.call(pool.ref("a"), Ask())))
                print(executor.submit_keyed("a", int, "5").result())
            with mb.Pool(receives, mailbox=mb.Blocking(2)) as pool:
                pool.initialize("a")
                pool.dispatch("a", 1)
            print(mb.originals.late_replies())
            from threadpool_mb.calls.cell import count_late_reply
            count_late_reply()

        def hold():
            with lock:
                held.set()
                go.wait()

        held, go = threading.Event(), threading.Event()
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        print(in_child(child))
        go.set()
        thread.join()
    """)

    assert lines == ["answer", "answer", "5", "1", "0", "0"]


def test_a_lock_that_another_thread_holds_is_free_once_it_is_remade() -> None:
    lock = threading.RLock()
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        lock.acquire()
        held.set()
        go.wait(15)

    with in_thread(hold):
        held.wait(15)
        remake(lock)
        got = lock.acquire(blocking=False)
        go.set()

    assert got
    lock.release()


def test_a_lock_that_the_forking_thread_holds_is_held_by_it_until_it_releases_it() -> None:
    lock = threading.RLock()
    with lock:
        remake(lock)
        assert lock._is_owned()  # type: ignore[attr-defined]
    assert not lock._is_owned()  # type: ignore[attr-defined]


def test_what_is_due_in_a_child_is_done_though_something_before_it_raises() -> None:
    lines = run(
        """
        import logging
        from threadpool_mb import forking
        logging.basicConfig(stream=sys.stdout, format="%(message)s")

        @forking.in_children
        def raises():
            1 / 0

        forking.in_children(lambda: print("done"))
        forking.begin_to_log()
        before = forking.forks()
        print(in_child(lambda: print(forking.forks() - before)), forking.forks() - before)
        """
    )

    assert lines[:2] == ["done", "what is due in a forked child raised"]
    assert "ZeroDivisionError: division by zero" in lines
    assert lines[-2:] == ["1", "0 0"]


def test_a_handler_that_another_thread_had_in_use_does_not_hang_the_child() -> None:
    lines = run(
        """
        import logging, sys, threading
        import threadpool_mb as mb
        from threadpool_mb import forking

        reached, go = threading.Event(), threading.Event()

        class Handler(logging.StreamHandler):
            def emit(self, record):
                if record.msg == "stop":
                    reached.set()
                    go.wait(15)
                else:
                    super().emit(record)

        handler = Handler(sys.stdout)
        logging.basicConfig(handlers=[handler], format="%(message)s")

        @forking.in_children
        def raises():
            1 / 0

        def worker(key):
            yield

        with mb.Pool(worker):
            thread = threading.Thread(target=logging.error, args=("stop",))
            thread.start()
            reached.wait(15)
            print(in_child(lambda: print("in the child")))
            go.set()
            thread.join()
        """
    )

    assert lines[0] == "what is due in a forked child raised"
    assert lines[-2:] == ["in the child", "0"]


def test_a_latch_lets_all_go_on_once_it_is_open() -> None:
    latch = Latch()
    went_on = []

    def wait() -> None:
        went_on.append(latch.wait(NEVER))

    run_together(wait, wait, wait, latch.open)

    assert went_on == [True] * 3
    assert latch.wait(AT_ONCE)
    latch.open()
    assert latch.wait(NEVER)


def test_who_waits_for_a_closed_latch_goes_on_at_the_deadline() -> None:
    latch = Latch()

    assert not latch.wait(AT_ONCE)
    assert not latch.wait(Deadline(0.01))
    assert not latch.is_open
