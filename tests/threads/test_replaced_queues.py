"""Pools where something has put a queue of its own in the place of `SimpleQueue`.

As gevent and eventlet do before anything is imported; tests/clients has the real ones. Here it is
the standard library's own in Python, which like theirs is made by its `__init__`. In an interpreter
of its own, since a lane's base is chosen once.
"""

import subprocess
import sys
import textwrap

import pytest

BEGIN = """
    import queue
    queue.SimpleQueue = queue._PySimpleQueue

    import threadpool_mb as mb
    from threadpool_mb.line.lane import Lane

    assert queue._PySimpleQueue in Lane.__mro__
"""

PROGRAM = """
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


# Lanes whose `get` is their own: the `get_nowait` of such a queue calls it.
OWN_GET = """
    import threading

    from tests.flow.test_pool_flow import unused
    from tests.pool.doubles import Intercepting

    handled = {}

    def worker(key):
        while True:
            handled.setdefault(key, []).append((yield))

    for options in (
        {"max_waiting": 3},
        {"max_waiting": 3, "pinned": True},
        {"max_waiting": 3, "rate": mb.Rate(1e6)},
        {"message_ttl": 3600},
        {"mailbox": Intercepting()},
    ):
        handled.clear()
        with mb.Pool(worker, start="on_demand", max_threads=2, **options) as pool:

            def send(sender):
                for number in range(50):
                    for key in "ab":
                        assert pool.dispatch(key, (sender, number))

            senders = [threading.Thread(target=send, args=(sender,)) for sender in range(3)]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join()
            assert pool.flush(timeout=60)
            if "max_waiting" in options:
                assert unused(pool._dispatcher._flow.room) == 3
            pool.remove("a", drain=False)
        for key in "ab":
            for sender in range(3):
                mine = [number for whose, number in handled[key] if whose == sender]
                assert mine == list(range(50)), options

    with mb.KeyedExecutor(max_workers=2, max_waiting=3) as executor:
        futures = [executor.submit_keyed(number % 3, abs, -number) for number in range(100)]
        assert [future.result(60) for future in futures] == list(range(100))
        assert unused(executor._flow.room.slots) == 3
    print("done")
"""


@pytest.mark.parametrize("program", [PROGRAM, OWN_GET], ids=["plain", "own get"])
def test_pools_and_executors_work_over_a_queue_that_is_made_by_its_init(program: str) -> None:
    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-W", "error", "-c", textwrap.dedent(BEGIN + program)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
