"""Pools where something has put a queue of its own in the place of `SimpleQueue`.

As gevent and eventlet do before anything is imported; tests/clients has the real ones. Here it is
the standard library's own in Python, which like theirs is made by its `__init__`. In an interpreter
of its own, since a lane's base is chosen once.
"""

import subprocess
import sys
import textwrap

PROGRAM = """
    import queue
    queue.SimpleQueue = queue._PySimpleQueue

    import threadpool_mb as mb
    from threadpool_mb.line.lane import Lane

    assert queue._PySimpleQueue in Lane.__mro__

    class Double(mb.Command[int]):
        def __init__(self, number):
            self.number = number

    seen = {}

    def worker(key):
        while True:
            message = yield
            match message:
                case mb.Call(Double(number=number), box):
                    box.reply(2 * number)
                case _:
                    seen.setdefault(key, []).append(message)

    for config in (mb.Unlimited(), mb.Blocking(2), mb.Waiting(2, deliver_timeout=60)):
        for inline in (False, True):
            seen.clear()
            with mb.Pool(worker, mailbox=config, max_threads=2, inline_calls=inline) as pool:
                for key in "ab":
                    pool.initialize(key)
                for number in range(50):
                    for key in "ab":
                        assert pool.dispatch(key, number)
                assert mb.call(pool.ref("a"), Double(21)) == 42
                assert mb.call(pool.ref("b"), Double(4), timeout=60) == 8
            assert seen == {key: list(range(50)) for key in "ab"}, seen

    with mb.KeyedExecutor(max_workers=2) as executor:
        assert list(executor.map_keyed(abs, [-1, -2, 3], key=bool)) == [1, 2, 3]
    print("done")
"""


def test_pools_and_executors_work_over_a_queue_that_is_made_by_its_init() -> None:
    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-W", "error", "-c", textwrap.dedent(PROGRAM)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
