"""The original's test of robustness against contention, for any kind of mailbox."""

import time
from collections.abc import Callable

import threadpool_mb as mb
from tests.helpers import run_together

SENDERS = 512
MESSAGES = 50
THREADS = 8


def receive_all_of_many_senders(config: mb.MailboxConfig) -> None:
    """Let 512 senders on a few threads deliver 50 messages each, and assert that all arrive."""
    mailbox = config.create()
    received: dict[int, list[int]] = {sender: [] for sender in range(SENDERS)}

    def receive() -> None:
        for _ in range(SENDERS * MESSAGES):
            sender, message = mailbox.receive()
            received[sender].append(message)

    def send_from(first: int) -> Callable[[], None]:
        def send() -> None:
            deliver = mailbox.new_input().deliver
            for message in range(MESSAGES):
                for sender in range(first, SENDERS, THREADS):
                    while not deliver((sender, message)):
                        time.sleep(0)

        return send

    run_together(receive, *(send_from(first) for first in range(THREADS)))

    assert received == {sender: list(range(MESSAGES)) for sender in range(SENDERS)}
    assert len(mailbox) == 0
