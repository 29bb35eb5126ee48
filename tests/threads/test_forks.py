"""What a child of `os.fork` can do with the pools and executors of its parent: know it, at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forks import run

POOLS = """
def in_turns(key):
    while True:
        message = yield
        if isinstance(message, mb.Call):
            hold.wait()
        del message

def owns_a_thread(key, mailbox):
    for message in mailbox:
        if isinstance(message, mb.Call):
            hold.wait()

hold = threading.Event()
dead, ends = [], []
def make(worker, **more):
    return mb.Pool(worker, on_dead_letter=dead.append, on_worker_exit=ends.append, **more)
"""
WORKERS = pytest.mark.parametrize("worker", ["in_turns", "owns_a_thread"])


@WORKERS
def test_a_pool_of_the_parents_refuses_everything_and_a_new_one_works(worker: str) -> None:
    lines = run(f"""
        {POOLS.replace(chr(10), chr(10) + " " * 8)}
        def child():
            told(pool.dispatch, "a", 1)
            told(pool.dispatch_many, "a", [1])
            told(pool.dispatch_all, [("a", 1)])
            told(pool.initialize, "a")
            told(pool.initialize, "b", 1)
            told(ref.deliver, 1)
            told(pool.input.deliver, mb.Dispatch("a", 1))
            told(pool.remove, "a")
            told(mb.call, ref, Ask())
            told(mb.ask(ref, Ask()).result)
            print(len(pool), pool.keys(), "a" in pool, pool.stats().state)
            print(pool.drain(timeout=None).finished, pool.join().finished, pool.join().failed)
            print(asyncio.run(pool.adrain(timeout=None)).finished)
            pool.close()
            pool.cancel()
            print(dead, ends)
            with mb.Pool({worker}, name="new") as new:
                new.initialize("a")
                print(new.dispatch("a", 1))
            print(new.join().finished, repr(pool)[-26:])

        with make({worker}, name="old") as pool:
            pool.initialize("a")
            ref = pool.ref("a")
            mb.ask(ref, Ask())
            pool.dispatch("a", 1)
            print(in_child(child))
            hold.set()
            print(pool.dispatch("a", 2))
        print(pool.join().finished, len(dead), len(ends))
    """)

    assert lines == [
        *["PoolClosed True"] * 7,
        "returned False",
        *["CallNotDelivered True"] * 2,
        "0 [] False made before os.fork()",
        "False False 0",
        "False",
        "[] []",
        "True",
        "True  | made before os.fork()]>",
        "0",
        "True",
        "True 0 1",
    ]


@WORKERS
@pytest.mark.parametrize("how", ["returns", "sys.exit()", "1 / 0"])
def test_a_child_leaves_the_block_of_the_parents_pool_at_once(worker: str, how: str) -> None:
    """However it leaves it: by its end, or by an exception."""
    leave = "pass" if how == "returns" else how
    lines = run(f"""
        {POOLS.replace(chr(10), chr(10) + " " * 8)}
        pid = None
        try:
            with make({worker}) as pool:
                pool.initialize("a")
                mb.ask(pool.ref("a"), Ask())
                pool.dispatch("a", 1)
                pid = fork()
                if pid:
                    print(status(pid))
                    hold.set()
                else:
                    {leave}
        except ZeroDivisionError:
            pass
        if pid:
            print(pool.join().finished)
    """)

    assert lines == ["0", "True"]


def test_a_call_that_waits_for_its_answer_at_the_fork_fails_in_the_child() -> None:
    """Its callbacks are the parent's, but for those that the child adds."""
    lines = run(f"""
        {POOLS.replace(chr(10), chr(10) + " " * 8)}
        def child():
            told(reply.result)
            told(reply.result, timeout=0)
            told(reply.as_future().result)
            print(reply.done(), called)
            reply.add_done_callback(lambda reply: print("called at once"))
            told(answered.result)
            told(unread.result)

        called = []
        box = mb.Unlimited().create()
        unread = mb.ask(box.new_input(), Ask())
        unread.add_done_callback(called.append)
        answered = mb.ask(box.new_input(), Ask())
        answered_box = [box.receive(), box.receive()]
        answered_box[1].reply_box.reply("answered")
        with make(in_turns) as pool:
            pool.initialize("a")
            reply = mb.ask(pool.ref("a"), Ask())
            reply.add_done_callback(called.append)
            print(in_child(child))
            hold.set()
        print(called == [reply])
        del answered_box[:]
    """)

    assert lines == [
        *["WorkerGone True"] * 3,
        "True []",
        "called at once",
        "returned answered",
        "WorkerGone True",
        "0",
        "True",
    ]


@pytest.mark.parametrize(
    ("blocked", "when", "then"),
    [
        ('pool.dispatch("a", 3)', "slots.waiting", "PoolClosed True"),
        ('pool.ref("a").deliver(3)', "slots.waiting", "PoolClosed True"),
        ('mb.call(pool.ref("a"), Ask(), timeout=60)', "slots.waiting", "CallNotDelivered True"),
        ('mb.call(pool.ref("b"), Ask())', "len(entered) == 2", "WorkerGone True"),
        ("pool.join().finished", "ready", "returned False"),
        ("pool.drain(timeout=60).finished", "pool.stats().state == 'closing'", "returned False"),
        ("executor.shutdown()", "executor._table.closed", "returned None"),
    ],
)
def test_a_thread_that_waits_and_forks_in_a_signal_handler_goes_on_in_the_child(
    blocked: str, when: str, then: str
) -> None:
    lines = run(f"""
        {POOLS.replace(chr(10), chr(10) + " " * 8)}
        def blocks(key):
            while True:
                message = yield
                entered.append(message)
                hold.wait()
                del message

        def handler(*_):
            global pid
            if handled:
                return
            handled.append(None)
            pid = fork()
            if pid:
                print(status(pid))
                hold.set()
                pool.cancel()

        entered, handled, ready = [], [], []
        pid = None
        executor = mb.KeyedExecutor(1)
        executor.submit(hold.wait)
        pool = make(blocks, mailbox=mb.Blocking(1))
        for key in "ab":
            pool.initialize(key)
            if key == "a":
                pool.dispatch(key, 1)
                until(lambda: len(entered) == 1)
                pool.dispatch(key, 2)
        def interrupt():
            until(lambda: {when})
            # Again and again: one that comes just before the wait does not end it.
            until(lambda: signal.pthread_kill(main, signal.SIGUSR1) or handled)

        slots = pool._roster.routes["a"].mailbox.slots
        main = threading.get_ident()
        signal.signal(signal.SIGUSR1, handler)
        threading.Thread(target=interrupt).start()
        ready.append(None)
        told(lambda: {blocked})
        sys.stdout.flush()
        if not pid:
            os._exit(0)
        executor.shutdown()
        pool.join()
    """)

    assert lines[:2] == [then, "0"]


def test_an_executor_of_the_parents_refuses_tasks_and_does_not_wait_for_those_it_has() -> None:
    lines = run("""
        def child():
            told(executor.submit, int)
            told(executor.submit_keyed, "a", int)
            told(executor.map, int, [1])
            told(running.result)
            told(waiting.exception, 60)
            told(done.result)
            print(running.running(), waiting.done())
            with executor:
                pass
            executor.shutdown(cancel_futures=True)
            print(waiting.cancelled())
            with mb.KeyedExecutor(1) as new:
                print(new.submit_keyed("a", int, "7").result())

        hold, begun = threading.Event(), threading.Event()
        def run():
            begun.set()
            return hold.wait()
        with mb.KeyedExecutor(1) as executor:
            done = executor.submit(int, "5")
            done.result()
            running = executor.submit_keyed("a", run)
            waiting = executor.submit_keyed("a", int, "6")
            begun.wait()
            print(in_child(child))
            hold.set()
            print(waiting.result())
    """)

    assert lines == [
        *["RuntimeError True"] * 5,
        "returned 5",
        "True False",
        "False",
        "7",
        "0",
        "6",
    ]


@pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit()", "executor.shutdown(); sys.exit()"])
def test_an_executor_that_has_not_begun_works_in_the_child_and_in_the_parent(leave: str) -> None:
    lines = run(f"""
        executor = mb.KeyedExecutor(2)
        pid = fork()
        print(executor.submit_keyed("a", int, "5").result(), flush=True)
        if not pid:
            {leave}
        print(status(pid))
        print(executor.submit_keyed("a", int, "6").result())
    """)

    assert lines in (["5", "5", "0", "6"], ["5", "0", "5", "6"])


def test_an_executor_that_was_shut_down_says_so_in_the_child() -> None:
    lines = run("""
        def child():
            for executor in executors:
                try:
                    executor.submit(int)
                except RuntimeError as error:
                    print("after shutdown" in str(error))
                executor.shutdown()

        executors = [mb.KeyedExecutor(1), mb.KeyedExecutor(1)]
        executors[0].submit(int).result()
        for executor in executors:
            executor.shutdown()
        print(in_child(child))
    """)

    assert lines == ["True", "True", "0"]


def test_a_pool_that_has_ended_has_ended_in_the_child_too() -> None:
    lines = run(f"""
        {POOLS.replace(chr(10), chr(10) + " " * 8)}
        def child():
            told(pool.dispatch, "a", 1)
            print(pool.join().finished, pool.stats().state)

        with make(in_turns) as pool:
            pool.initialize("a")
        print(in_child(child))
    """)

    assert lines == ["PoolClosed False", "True ended", "0"]


GOES_ON = """
def worker(key):
    while True:
        forks((yield))
"""
RETURNS = """
def worker(key):
    forks((yield))
"""
EXITS = """
def worker(key):
    while True:
        if forks((yield)):
            sys.exit(3)
"""
EXITS_WITH_A_TEXT = """
def worker(key):
    while True:
        if forks((yield)):
            sys.exit("the text")
"""
IS_IN_A_BLOCK = """
def worker(key):
    try:
        while True:
            forks((yield))
    finally:
        if os.getpid() != parent:
            print("the child's finally")
"""
FORKS_IN_ITS_SET_UP = """
def worker(key):
    forks(0)
    while True:
        forks((yield))
"""
ITERATES = """
def worker(key, mailbox):
    for message in mailbox:
        forks(message)
"""
RECEIVES = """
def worker(key, mailbox):
    while True:
        forks(mailbox.receive())
"""
RECEIVES_MANY = """
def worker(key, mailbox):
    while True:
        forks(mailbox.receive_many(2))
"""
EXITS_ITS_THREAD = """
def worker(key, mailbox):
    for message in mailbox:
        if forks(message):
            sys.exit(3)
"""


@pytest.mark.parametrize(
    ("worker", "code"),
    [
        (GOES_ON, 0),
        (RETURNS, 0),
        (EXITS, 3),
        (EXITS_WITH_A_TEXT, 1),
        (IS_IN_A_BLOCK, 0),
        (FORKS_IN_ITS_SET_UP, 0),
        (ITERATES, 0),
        (RECEIVES, 0),
        (RECEIVES_MANY, 0),
        (EXITS_ITS_THREAD, 3),
    ],
    ids=lambda value: value.split("worker", 1)[1][:40] if isinstance(value, str) else "",
)
def test_a_child_that_a_worker_has_forked_ends_when_the_worker_is_done_with_its_message(
    worker: str, code: int
) -> None:
    """It handles nothing of the parent's, calls no hook, and closes what it has made itself."""
    program = f"""
parent = os.getpid()
forked = []
tickets = itertools.count()

def forks(message):
    global new
    if os.getpid() != parent:
        print("the child handles", message)
    elif not next(tickets):  # two workers may come here at once
        all_sent.wait()
        forked.append(fork())
        if not forked[0]:
            new = mb.Pool(prints)
            new.initialize("new", "handled in the child's pool")
            return True
    return False

def prints(key):
    while True:
        print((yield))

def hook(what):
    if os.getpid() != parent:
        print("the child's hook", what)
{worker}
all_sent = threading.Event()
pool = mb.Pool(worker, on_dead_letter=hook, on_worker_exit=hook)
for key in "ab":
    pool.initialize(key)
    for message in range(100):
        pool.dispatch(key, message)
all_sent.set()
until(lambda: forked)
print(status(forked[0]))
pool.close()
pool.join()
"""

    lines = run(program, stderr="the text\n" if worker is EXITS_WITH_A_TEXT else "")

    assert lines == ["handled in the child's pool", str(code)]


def test_what_a_worker_raises_in_the_child_that_it_has_forked_is_logged_there() -> None:
    lines = run("""
        import logging
        logging.basicConfig(stream=sys.stdout, format="%(message)s %(exc_info)s")
        def worker(key):
            global pid
            yield
            pid = fork()
            if not pid:
                raise ValueError("of the child")
            yield

        with mb.Pool(worker, name="p") as pool:
            pool.initialize("a", 1)
            until(lambda: "pid" in globals())
            print(status(pid))
    """)

    assert "p: the worker of key 'a' failed" in lines[0]
    assert lines[-1] == "1"
    assert sum("failed" in line for line in lines) == 1


@pytest.mark.parametrize("where", ["task", "callback", "initializer"])
def test_a_child_that_a_task_has_forked_ends_after_it_and_runs_no_other(where: str) -> None:
    lines = run(f"""
        parent = os.getpid()
        pids = []
        def forks(*_):
            if not pids:
                go.wait()
                pids.append(fork())
        def task(number):
            if os.getpid() != parent:
                print("the child runs", number)

        go = threading.Event()
        initializer = forks if "{where}" == "initializer" else None
        executor = mb.KeyedExecutor(1, initializer=initializer)
        first = executor.submit_keyed("a", forks if "{where}" == "task" else go.wait)
        if "{where}" == "callback":
            first.add_done_callback(forks)
        rest = [executor.submit_keyed(key, task, key) for key in "aabbcc"]
        go.set()
        until(lambda: pids)
        print(status(pids[0]))
        executor.shutdown()
        print(all(future.done() for future in rest))
    """)

    assert lines == ["0", "True"]


@pytest.mark.parametrize("hook", ["on_worker_exit", "on_dead_letter"])
@WORKERS
def test_a_child_that_a_hook_has_forked_ends_after_it(hook: str, worker: str) -> None:
    lines = run(f"""
        parent = os.getpid()
        pids, tickets = [], itertools.count()
        def forks(what):
            if os.getpid() != parent:
                print("the child's hook", what)
            elif not next(tickets):
                pids.append(fork())
        def in_turns(key):
            yield
            all_sent.wait()
        def owns_a_thread(key, mailbox):
            mailbox.receive()
            all_sent.wait()

        all_sent = threading.Event()
        hooks = {{"on_dead_letter": lambda _: None}} | {{"{hook}": forks}}
        pool = mb.Pool({worker}, **hooks)
        pool.initialize("a", 0)
        for message in range(3):
            pool.dispatch("a", message)
        pool.initialize("b", 0)
        all_sent.set()
        until(lambda: pids)
        print(status(pids[0]))
        pool.close()
        pool.join()
    """)

    assert lines == ["0"]


def test_a_key_that_forks_under_the_pools_lock_leaves_both_processes_a_lock_that_works() -> None:
    lines = run("""
        class Key:
            def __hash__(self):
                global pid
                if armed and pool._roster.lock._is_owned():
                    armed.clear()
                    pid = fork()
                return 1

        def worker(key):
            while True:
                yield

        armed = []
        with mb.Pool(worker) as pool:
            armed.append(1)
            pool.initialize(Key())
            if not pid:
                told(pool.dispatch, "a", 1)
                told(pool.initialize, "a")
                os._exit(0)
            print(status(pid))
            print(pool.initialize("a"))
    """)

    assert lines == ["PoolClosed True", "PoolClosed True", "0", "True"]


def test_a_finalizer_may_fork_while_its_thread_opens_a_pool() -> None:
    """The lock of the open pools is held by the thread that forks: it is released as ever."""
    lines = run("""
        import weakref
        from threadpool_mb.threads import exit_hook
        def worker(key):
            while True:
                yield
        class Referring(weakref.ref):
            def __new__(cls, *arguments):
                global pid
                if "pid" not in globals():
                    pid = fork()
                return super().__new__(cls, *arguments)
        exit_hook.weakref.ref = Referring
        try:
            mb.Pool(worker).close()
        except mb.ThreadRefused:  # in the child: 3.13.0 starts no thread that was made before
            pass
        with mb.Pool(worker) as pool:
            pool.initialize("a")
            print(pool.dispatch("a", 1), flush=True)
        if pid:
            print(status(pid))
    """)

    assert sorted(lines) == ["0", "True", "True"]


@pytest.mark.parametrize(
    "lock",
    [
        "pool._roster.lock",
        "pool._office._lock",
        "pool._dispatcher._threads._lock",
        "functions._dispatcher._threads._lock",
        "full._roster.routes['a'].mailbox.slots._lock",
        "executor._table.threads._lock",
        "executor._table.shards[0].lock",
        "fresh._table.threads._lock",
        "fresh._table.shards[0].lock",
    ],
)
def test_a_lock_of_an_owner_that_another_thread_held_does_not_hang_the_child(lock: str) -> None:
    lines = run(f"""
        def worker(key):
            while True:
                yield
        def function(key, mailbox):
            mailbox.receive()

        def child():
            for each in pools:
                told(each.dispatch, "a", 1)
                told(each.initialize, "b", 1)
                each.drain(timeout=None)
                repr(each), each.stats()
            told(executor.submit_keyed, 0, int)
            repr(executor)
            executor.shutdown()
            print(fresh.submit_keyed(0, int, "5").result())
            fresh.shutdown()

        def hold():
            with {lock}:
                held.set()
                go.wait()

        held, go = threading.Event(), threading.Event()
        pool, functions = mb.Pool(worker), mb.Pool(function)
        full = mb.Pool(worker, mailbox=mb.Blocking(1))
        pools = [pool, functions, full]
        for each in pools:
            each.initialize("a")
        executor, fresh = mb.KeyedExecutor(1), mb.KeyedExecutor(1)
        executor.submit_keyed(0, int).result()
        until(lambda: not executor._table.tasks)
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        print(in_child(child))
        go.set()
        thread.join()
        for each in pools:
            each.cancel()
            each.join()
        executor.shutdown()
    """)

    assert lines == [*["PoolClosed True"] * 6, "RuntimeError True", "5", "0"]


def test_a_throttled_task_can_be_cancelled_in_the_child_whatever_another_thread_held() -> None:
    """Its lane is the parent's: there it goes on at its time."""
    lines = run("""
        def child():
            print(future.cancel(), future.cancelled())

        def hold():
            with executor._table.delayed._lock:
                held.set()
                go.wait()

        held, go = threading.Event(), threading.Event()
        executor = mb.KeyedExecutor(1, rate=mb.Rate(1 / 3600))
        executor.submit_keyed("a", int).result()
        future = executor.submit_keyed("a", int)
        until(lambda: executor._table.delayed)
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        print(in_child(child))
        go.set()
        thread.join()
        print(future.cancelled(), len(executor._table.delayed), future.cancel())
        executor.shutdown()
    """)

    assert lines == ["True True", "0", "False 1 True"]


def test_a_child_that_a_throttled_task_has_forked_ends_whatever_another_thread_held() -> None:
    lines = run("""
        def forks():
            held.wait()
            pid = fork()
            if pid:
                print(status(pid), flush=True)
                go.set()

        def hold():
            with contextlib.ExitStack() as stack:
                for lock in executor._flow._pace._locks:
                    stack.enter_context(lock)
                held.set()
                go.wait()

        import contextlib
        held, go = threading.Event(), threading.Event()
        executor = mb.KeyedExecutor(1, rate=mb.Rate(1000))
        executor.submit_keyed("a", int).result()
        begun = threading.Event()
        def begins():
            begun.set()
            forks()
        future = executor.submit_keyed("a", begins)
        begun.wait()
        thread = threading.Thread(target=hold)
        thread.start()
        future.result()
        thread.join()
        executor.shutdown()
        print("done")
    """)

    assert lines == ["0", "done"]


@pytest.mark.parametrize("ends", ["", "1 / 0", "future.cancel()"])
@pytest.mark.parametrize(
    "submits",
    [
        "submit_keyed('a', forks)",
        "submit_multi(['a', 'b'], forks)",
        "submit_exclusive(forks)",
        "submit(forks)",
    ],
)
@pytest.mark.parametrize("options", ["", "rate=mb.Rate(1000)", "max_waiting=4"])
def test_a_child_that_a_task_has_forked_ends_whoever_had_its_future_in_hand(
    options: str, submits: str, ends: str
) -> None:
    """As a thread does that begins to wait for it."""
    lines = run(f"""
        def forks():
            submitted.wait()
            thread.start()
            held.wait()
            pid = fork()
            if pid:
                print(status(pid), flush=True)
                go.set()
            {ends or "pass"}

        def hold():
            with future._mutex:
                held.set()
                go.wait()

        submitted, held, go = threading.Event(), threading.Event(), threading.Event()
        thread = threading.Thread(target=hold)
        executor = mb.KeyedExecutor(1, {options})
        future = executor.{submits}
        submitted.set()
        print(type(future.exception()).__name__)
        thread.join()
        executor.shutdown()
    """)

    assert lines == ["0", "ZeroDivisionError" if ends == "1 / 0" else "NoneType"]


def test_a_child_in_which_a_call_is_answered_ends_whoever_had_its_future_in_hand() -> None:
    lines = run("""
        def worker(key):
            asked = yield
            held.wait()
            pid = fork()
            if pid:
                print(status(pid), flush=True)
                go.set()
            asked.reply_box.reply("answered")
            yield

        def hold():
            with future._condition:
                held.set()
                go.wait()

        held, go = threading.Event(), threading.Event()
        with mb.Pool(worker) as pool:
            pool.initialize("a")
            future = mb.ask(pool.ref("a"), Ask()).as_future()
            thread = threading.Thread(target=hold)
            thread.start()
            print(future.result())
            thread.join()
    """)

    assert lines == ["0", "answered"]


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_module_level_pool_beside_multiprocessing(method: str, tmp_path: object) -> None:
    (module := tmp_path / "pooled.py").write_text(  # type: ignore[operator]
        "import threadpool_mb as mb\n"
        "seen = []\n"
        "def worker(key):\n"
        "    while True:\n"
        "        seen.append((yield))\n"
        "pool = mb.Pool(worker)\n"
        "pool.initialize('a')\n"
        "def job(queue):\n"
        "    try:\n"
        "        queue.put(pool.dispatch('a', 1))\n"
        "    except mb.PoolClosed as error:\n"
        "        queue.put('made before os.fork()' in str(error))\n"
        "    with mb.Pool(worker) as new:\n"
        "        new.initialize('a', 2)\n"
        "    queue.put(2 in seen)\n"
    )
    lines = run(f"""
        import multiprocessing
        sys.path.insert(0, {str(module.parent)!r})
        import pooled
        context = multiprocessing.get_context({method!r})
        queue = context.SimpleQueue()
        process = context.Process(target=pooled.job, args=(queue,))
        process.start()
        print(queue.get(), queue.get())
        process.join()
        print(process.exitcode)
    """)

    assert lines == ["True True", "0"]


@pytest.mark.parametrize(
    ("method", "preload", "printed"),
    [
        ("spawn", "", "True"),
        # Before 3.13.8 the server did not come to import the main module (gh-126631).
        (
            "forkserver",
            "",
            "the pool 'module' was made before os.fork()"
            if sys.version_info >= (3, 13, 8)
            else "True",
        ),
        ("forkserver", "multiprocessing.set_forkserver_preload([])", "True"),
    ],
)
def test_a_pool_of_the_main_module_beside_multiprocessing(
    method: str, preload: str, printed: str, tmp_path: Path
) -> None:
    (program := tmp_path / "program.py").write_text(
        "import multiprocessing\n"
        "import threadpool_mb as mb\n"
        "def worker(key):\n"
        "    while True:\n"
        "        yield\n"
        "pool = mb.Pool(worker, start='on_demand', name='module')\n"
        "def job():\n"
        "    try:\n"
        "        print(pool.dispatch('a', 1), flush=True)\n"
        "    except mb.PoolClosed as error:\n"
        "        print(error, flush=True)\n"
        "if __name__ == '__main__':\n"
        f"    {preload}\n"
        f"    process = multiprocessing.get_context({method!r}).Process(target=job)\n"
        "    process.start()\n"
        "    process.join()\n"
        "    print(process.exitcode)\n"
    )
    # Of the fork beside the pool's threads CPython warns, in the server.
    done = subprocess.run(  # noqa: S603 - the test's own program
        [sys.executable, "-W", "ignore", program],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert [line.partition(": it takes")[0] for line in done.stdout.splitlines()] == [printed, "0"]


def test_what_the_parents_workers_hold_is_not_finalized_in_the_child_when_it_drops_the_pool() -> (
    None
):
    lines = run("""
        import gc
        parent = os.getpid()
        def worker(key):
            try:
                while True:
                    yield
            finally:
                print("finally, in the", "parent" if os.getpid() == parent else "child")

        def child():
            global pool
            del pool
            gc.collect()

        pool = mb.Pool(worker)
        pool.initialize("a", 1)
        print(in_child(child))
        pool.close()
        pool.join()
    """)

    assert lines == ["0", "finally, in the parent"]


def test_a_view_of_one_key_does_not_wait_for_the_parents_tasks() -> None:
    lines = run("""
        def child():
            told(view.submit, int)
            told(view.shutdown, cancel_futures=True)
            print(waiting.cancelled())

        hold = threading.Event()
        with mb.KeyedExecutor(1) as executor:
            view = executor.for_key("a")
            view.submit(hold.wait)
            waiting = view.submit(int, "7")
            print(in_child(child))
            hold.set()
            print(waiting.result())
    """)

    assert lines == ["RuntimeError True", "returned None", "False", "0", "7"]


@pytest.mark.parametrize(
    "mailbox",
    [
        "mb.Blocking(1)",
        "mb.Waiting(1, deliver_timeout=1)",
        "mb.Prioritized(mb.Blocking(1), int)",
        "Own()",
    ],
)
def test_the_mailbox_of_a_function_of_the_parents_takes_no_message_in_the_child(
    mailbox: str,
) -> None:
    lines = run(f"""
        from tests.pool.doubles import Intercepting as Own

        def worker(key, mailbox):
            inputs.append(mailbox.new_input())
            ready.set()
            for message in mailbox:
                handled.append(message)

        def child():
            if {mailbox != "Own()"}:
                told(inputs[0].deliver, 1)
            told(pool.flush)
            told(pool.dispatch, "a", 1)

        inputs, handled, ready = [], [], threading.Event()
        with mb.Pool(worker, mailbox={mailbox}) as pool:
            pool.initialize("a")
            ready.wait()
            print(in_child(child))
            print(inputs[0].deliver(2))
        print(handled)
    """)

    refused = [] if mailbox == "Own()" else ["MailboxClosed True"]
    assert lines == [*refused, "returned True", "PoolClosed True", "0", "True", "[2]"]


def test_what_is_displaced_in_the_child_is_told_though_threads_of_the_parent_hold_a_lock() -> None:
    lines = run("""
        from threadpool_mb.line.stores import displaced_later

        def sweeps():
            with displaced_later():
                inside.release()
                hold.wait()

        def send():
            pool.dispatch("a", 1)

        def worker(key):
            yield from mb.sleep(3600)

        def child():
            global pool
            dead = []
            pool = mb.Pool(
                worker, start="on_demand", mailbox=mb.Sliding(1), on_dead_letter=dead.append
            )
            for _ in range(10):  # they have the idents of threads that are gone
                sender = threading.Thread(target=send)
                sender.start()
                sender.join()
            print(len(dead))
            pool.cancel()

        hold, inside = threading.Event(), threading.Semaphore(0)
        threads = [threading.Thread(target=sweeps) for _ in range(5)]
        for thread in threads:
            thread.start()
            inside.acquire()
        print(in_child(child))
        hold.set()
        for thread in threads:
            thread.join()
    """)

    assert lines == ["9", "0"]
