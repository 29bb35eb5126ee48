"""Futures that die while another thread fills them: no message is lost, and none comes twice."""

import gc
import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.helpers import DEADLINE, run_together
from threadpool_mb import MailboxEmpty, MessageFuture, Unlimited

pytestmark = pytest.mark.racing

GENERATIONAL = not sysconfig.get_config_var("Py_GIL_DISABLED")
ROUNDS = int(os.environ.get("DYING_FUTURES", "1500"))
"""`DYING_FUTURES=100000` was run on the GIL builds of 3.13 and 3.14, without a loss."""


@pytest.fixture(autouse=True)
def _threads_are_switched_all_the_time() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def drop_the_last_reference(futures: list[MessageFuture[int]]) -> None:
    futures.pop()


def leave_a_cycle(futures: list[MessageFuture[int]]) -> None:
    cycle: list[object] = [futures.pop()]
    cycle.append(cycle)
    del cycle
    gc.collect(0)


@pytest.mark.parametrize("drop", [drop_the_last_reference, leave_a_cycle])
def test_no_message_is_lost_to_a_future_that_dies_as_another_thread_fills_it(
    drop: Callable[[list[MessageFuture[int]]], None],
) -> None:
    # A free-threaded build has no young generation: each collection goes through all objects, those
    # of the whole test run, and takes 0.1 s and more. Nor is a weak reference alive there, in the
    # time that this is about (`tests/test_assumptions.py`).
    rounds = ROUNDS if drop is drop_the_last_reference or GENERATIONAL else ROUNDS // 75
    dead: list[int] = []
    mailbox = Unlimited().create(on_dead_letter=dead.append)
    deliver = mailbox.new_input().deliver
    received: list[int] = []
    claimed = threading.Barrier(2, timeout=DEADLINE)
    dying: list[MessageFuture[int]] = []

    def claim_and_drop() -> None:
        for _ in range(rounds):
            dying.append(mailbox.try_receive())
            claimed.wait()
            drop(dying)
            claimed.wait()

    def claim_and_wait() -> None:
        for number in range(rounds):
            claimed.wait()
            future = mailbox.try_receive()
            deliver(number)
            # It fills the oldest claim that lives: the dying one's, or this.
            received.append(future.result(timeout=DEADLINE))
            claimed.wait()

    run_together(claim_and_drop, claim_and_wait)

    with pytest.raises(MailboxEmpty):
        mailbox.receive(timeout=0)
    assert sorted(received + dead) == list(range(rounds))
