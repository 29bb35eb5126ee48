"""`close_at_exit`: closing at interpreter exit what was left open."""

import gc
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable

import pytest

from tests.forks import run
from tests.helpers import DEADLINE
from threadpool_mb.arguments import Deadline
from threadpool_mb.threads import exit_hook
from threadpool_mb.threads.exit_hook import close_at_exit


@pytest.fixture(autouse=True)
def _the_interpreter_does_not_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test call what runs at exit, and leave no trace of it."""
    monkeypatch.setattr(exit_hook, "_open", [])
    monkeypatch.setattr(exit_hook, "_keep_at_most", exit_hook._MOST_DEAD)
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


def test_no_code_runs_when_an_owner_dies_in_which_an_interrupt_would_be_swallowed() -> None:
    owner = Owner()
    close_at_exit(owner)

    assert [reference.__callback__ for reference in exit_hook._open] == [None]
    del owner
    exit_hook._close_all()


def test_dead_owners_are_forgotten_and_the_living_are_not() -> None:
    living = []
    for number in range(1000):
        close_at_exit(owner := Owner())
        if number % 100 == 0:
            living.append(owner)
    del owner
    gc.collect()

    assert len(exit_hook._open) <= 2 * len(living) + exit_hook._MOST_DEAD
    exit_hook._close_all()
    assert [owner.closed for owner in living] == [1] * 10


def test_many_living_owners_are_looked_through_now_and_then_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = []

    class Counting(weakref.ref[Owner]):
        def __call__(self) -> Owner | None:
            looks.append(None)
            return super().__call__()

    monkeypatch.setattr(exit_hook.weakref, "ref", Counting)
    owners = [Owner() for _ in range(1000)]
    for owner in owners:
        close_at_exit(owner)

    assert len(looks) <= 2 * len(owners)


@pytest.mark.parametrize(
    "imports",
    [
        "from threadpool_mb import Pool; from concurrent.futures import ThreadPoolExecutor",
        "from concurrent.futures import ThreadPoolExecutor; from threadpool_mb import Pool",
    ],
    ids=["ours first", "the standard one first"],
)
def test_a_pool_is_closed_before_the_standard_executors_threads_are_waited_for(
    imports: str,
) -> None:
    program = f"""
{imports}

def worker(key):
    while True:
        yield

pool = Pool(worker)
pool.initialize("a")
ThreadPoolExecutor(1).submit(lambda: print(pool.join().finished))
"""
    done = subprocess.run(  # noqa: S603 - the test's own program
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_the_first_pool_that_is_made_as_the_interpreter_exits_is_closed_at_once() -> None:
    program = """
import atexit
from threadpool_mb import Pool

def worker(key):
    yield

@atexit.register
def late():
    try:
        pool = Pool(worker)
    except RuntimeError as error:
        print("refused:", error)
    else:
        print(pool.stats().state != "running")
"""
    done = subprocess.run(  # noqa: S603 - the test's own program
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(("True", "refused: "))


def test_what_there_was_no_memory_to_register_is_registered_with_the_next_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registered: list[object] = []

    def register(function: object) -> None:
        registered.append(function)
        if len(registered) == 1:
            raise MemoryError

    monkeypatch.setattr(exit_hook, "_registered", False)
    monkeypatch.setattr(exit_hook, "begin_to_log", lambda: None)
    monkeypatch.setattr(threading, "_register_atexit", register)
    owner = Owner()
    with pytest.raises(MemoryError):
        close_at_exit(owner)
    close_at_exit(owner)
    close_at_exit(owner)

    assert registered == [exit_hook._close_all] * 2


def test_an_owner_that_comes_while_the_interpreter_exits_is_closed_at_once() -> None:
    exit_hook._close_all()
    owner = Owner()

    close_at_exit(owner)

    assert owner.closed == 1
    assert exit_hook._open == []


def test_owners_are_closed_before_the_interpreter_joins_threads_and_before_atexit() -> None:
    program = textwrap.dedent("""
        import atexit, threading
        from threadpool_mb.threads.exit_hook import close_at_exit

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


class Stuck(Owner):
    """Has threads that do not end."""

    def __init__(self, name: str | None) -> None:
        super().__init__()
        self.name = name
        self.deadlines: list[Deadline] = []

    def waits_for(self, deadline: Deadline) -> str | None:
        """Return the name."""
        self.deadlines.append(deadline)
        return self.name


@pytest.fixture
def exit_now(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call what runs at exit, and what it starts."""
    monkeypatch.setattr(exit_hook, "_PATIENCE", 0)

    def call() -> None:
        before = set(threading.enumerate())
        exit_hook._close_all()
        for thread in set(threading.enumerate()) - before:
            thread.join(15)

    return call


def test_what_does_not_end_is_named_once_and_all_have_the_same_time(
    exit_now: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    owners = [Stuck("a"), Stuck(None), Stuck("b")]
    for owner in owners:
        close_at_exit(owner)

    exit_now()

    assert caplog.messages == ["the interpreter cannot exit yet: it waits for a; b"]
    assert [len(owner.deadlines) for owner in owners] == [2, 1, 2]
    assert owners[0].deadlines[1] is owners[2].deadlines[1]
    assert [owner.closed for owner in owners] == [1, 1, 1]


def test_where_all_have_ended_no_thread_is_started_and_nothing_logged(
    caplog: pytest.LogCaptureFixture, refusing: threading.Event
) -> None:
    close_at_exit(owner := Stuck(None))
    refusing.set()

    exit_hook._close_all()

    assert caplog.messages == []
    assert len(owner.deadlines) == 1


def test_where_no_thread_is_to_be_had_the_exit_goes_on_without_a_line(
    caplog: pytest.LogCaptureFixture, refusing: threading.Event
) -> None:
    close_at_exit(owner := Stuck("a"))
    refusing.set()

    exit_hook._close_all()

    assert caplog.messages == []
    assert owner.closed == 1


def test_an_owner_that_cannot_say_what_it_waits_for_does_not_hide_the_others(
    exit_now: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Raising(Owner):
        def waits_for(self, deadline: Deadline) -> str | None:
            raise ValueError

    owners = [Stuck("a"), Raising(), Stuck("b")]
    for owner in owners:
        close_at_exit(owner)

    exit_now()

    assert [message.endswith("at exit raised") for message in caplog.messages] == [True, False]
    assert caplog.messages[1].endswith("waits for a; b")


STUCK = """
from threadpool_mb.threads import exit_hook
exit_hook._PATIENCE = 0.05

def ends_when_it_was_said():
    \"\"\"Let the stuck code go on as soon as the line is logged.\"\"\"
    import logging
    class Handler(logging.Handler):
        def emit(self, record):
            print(record.getMessage(), flush=True)
            go.set()
    logging.getLogger("threadpool_mb").addHandler(Handler())

go, begun = threading.Event(), threading.Event()
def waits(*_):
    begun.set()
    go.wait()
"""


@pytest.mark.parametrize(
    ("program", "line"),
    [
        (
            """
def worker(key):
    while True:
        waits((yield))
pool = mb.Pool(worker, name="stuck", max_threads=1)
for number in range(5):
    pool.initialize(number)
    pool.dispatch(number, "in hand")
    begun.wait()
pool.dispatch(0, "waits")
""",
            "pool stuck: 5 workers not ended (keys 0, 1, 2 and 2 more), 5 messages waiting",
        ),
        (
            """
def worker(key, mailbox):
    waits()
pool = mb.Pool(worker, name="stuck", on_dead_letter=lambda _: None)
pool.initialize("a", 1)
begun.wait()
""",
            "pool stuck: 1 worker not ended (key 'a'), 1 message waiting",
        ),
        (
            """
executor = mb.KeyedExecutor(1, "stuck")
executor.submit_keyed("a", waits)
begun.wait()
executor.submit_keyed("a", int)
executor.submit_keyed("b", int)
""",
            "stuck: 3 tasks not done (key 'a')",
        ),
        (
            """
broker = mb.Broker(mb.BrokerConfig(lambda m: m, lambda *_: 1, waits, lambda *_: 1), name="stuck")
broker.input.deliver(mb.Initialize("a", 1))
broker.input.deliver(mb.Dispatch("a", 2))
begun.wait()
""",
            "<Broker 'stuck'>: 1 message waiting",
        ),
        (
            """
broker = mb.Broker(
    mb.BrokerConfig(lambda m: m, lambda *_: 1, waits, lambda *_: 1), name="stuck", max_threads=1
)
broker.input.deliver(mb.Initialize("a", 1))
broker.input.deliver(mb.Dispatch("a", 2))
begun.wait()
until(lambda: broker._loop.waiting == 1)
""",
            "<Broker 'stuck'>: 1 message waiting (stuck: 2 tasks not done (key 'a'))",
        ),
    ],
    ids=["pool", "function", "executor", "broker", "parallel"],
)
def test_stuck_code_that_keeps_the_interpreter_from_exiting_is_named(
    program: str, line: str
) -> None:
    said = f"the interpreter cannot exit yet: it waits for {line}"

    assert run(f"{STUCK}\nends_when_it_was_said()\n{program}") == [said]


def test_the_line_is_on_stderr_where_logging_was_not_set_up_and_comes_after_five_seconds() -> None:
    program = f"""
{STUCK}
import time
exit_hook._PATIENCE = {exit_hook._PATIENCE}
executor = mb.KeyedExecutor(1, "stuck")
executor.submit_keyed("a", waits)
begun.wait()
began = time.monotonic()
def watch():
    threading.main_thread().join()
    until(lambda: any("cannot exit" in each for each in written))
    print(time.monotonic() - began > 4, flush=True)
    go.set()
class Stream:
    def write(self, text):
        written.append(text)
        sys.__stderr__.write(text)
    def flush(self):
        pass
written = []
sys.stderr = Stream()
threading.Thread(target=watch).start()
"""

    said = "the interpreter cannot exit yet: it waits for stuck: 1 task not done (key 'a')\n"
    assert run(program, stderr=said) == ["True"]


def test_a_worker_that_ends_with_the_main_thread_is_not_waited_for() -> None:
    """The main thread must not count as alive while its exit waits for such a worker."""
    program = f"""
{STUCK}
exit_hook._PATIENCE = 600
def worker(key, mailbox):
    begun.set()
    threading.main_thread().join()
    print("ends", flush=True)
pool = mb.Pool(worker)
pool.initialize("a")
begun.wait()
"""

    assert run(program) == ["ends"]


@pytest.mark.parametrize("submit", ["", "executor.submit(int).result()"])
@pytest.mark.parametrize("shutdown", ["", "executor.shutdown()"])
def test_an_executor_of_a_module_is_finalized_without_a_word_as_the_interpreter_ends(
    submit: str, shutdown: str
) -> None:
    assert run(f"executor = mb.KeyedExecutor(1)\n{submit}\n{shutdown}") == []
