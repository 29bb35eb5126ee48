"""A message's life is short: how many files and calls of the library it passes."""

import sys
from pathlib import Path
from types import FrameType

import threadpool_mb as mb

PACKAGE = Path(mb.__file__).parent


class Calls:
    """The calls into the library on one thread, while it is installed as the profiler."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str]] = []

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            self.made.append((str(path.relative_to(PACKAGE)), frame.f_code.co_name))


def test_a_message_passes_one_call_on_the_senders_side_and_none_on_the_workers() -> None:
    sending, receiving = Calls(), Calls()

    def worker(key: str, mailbox: mb.Mailbox[str]) -> None:
        messages = iter(mailbox)
        next(messages)
        sys.setprofile(receiving)
        next(messages)
        sys.setprofile(None)

    with mb.Pool(worker) as pool:
        pool.initialize("key", "warm-up")
        sys.setprofile(sending)
        pool.dispatch("key", "message")
        sys.setprofile(None)

    assert sending.made == [("pool/pool.py", "dispatch")]
    # The mailbox's iterator is made of iterators of C.
    assert receiving.made == []
