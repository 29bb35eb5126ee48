"""Webhooks: events are posted to each customer in order, and tried again after a pause.

**Problem.** An event that cannot be posted is to be tried again, after a pause that grows. The next
event of that customer must wait for it, and those of other customers must not. There are more
customers than threads, so that a pause must not hold a thread. A connection that broke must be made
anew. An event that the customer refuses is set aside.

**Solution.** A customer is a key, and starts at the first event. There are two kinds of trouble:

- The endpoint is busy, the connection is good. The worker waits with `yield from mb.sleep(seconds)`
  and tries again. The customer's events wait in the mailbox; the thread takes turns of others.
- The connection is broken. The worker lets the error pass, so that it fails, and
  `mb.Restart(in_hand="retry")` starts it again after `delay` seconds: with a new connection, the
  same mailbox, and the event that it had in hand first.

Either way the order of a customer's events stays, and none is lost. A customer that cannot be
reached uses up its restarts: then its events become dead letters.

Read: `Endpoint`, which stands for the network; `post_all`, the worker; `deliver`.
"""

import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Final

import threadpool_mb as mb

PAUSE: Final = 0.001
"""Seconds before an event is tried again; each next pause is twice as long."""
LONGEST_PAUSE: Final = 0.05


class Busy(Exception):
    """The endpoint asks for a later attempt."""


class Refused(Exception):
    """The endpoint will never take this event."""


class Endpoint:
    """A customer's server; answers each attempt as it is told."""

    def __init__(self, answers: Iterable[type[Exception] | None] = ()) -> None:
        """Answer the first attempts so; take everything after that."""
        self.taken: list[str] = []
        self.connections = 0
        self._answers: Final = iter(answers)

    @contextlib.contextmanager
    def connect(self) -> Generator[Callable[[str], None]]:
        """Yield what posts an event."""
        self.connections += 1
        yield self._post

    def _post(self, event: str) -> None:
        answer = next(self._answers, None)
        if answer is not None:
            raise answer(event)
        self.taken.append(event)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the events that were not posted, by customer."""

    refused: dict[str, list[str]]
    undelivered: dict[str, list[str]]


def deliver(
    endpoints: dict[str, Endpoint],
    events: Iterable[tuple[str, str]],
    *,
    pause: float = PAUSE,
    max_threads: int = 2,
) -> Result:
    """Post events, each with its customer; return what became of the others."""
    refused: defaultdict[str, list[str]] = defaultdict(list)
    undelivered: defaultdict[str, list[str]] = defaultdict(list)

    def post_all(customer: str) -> Generator[None, str]:
        with endpoints[customer].connect() as post:
            while True:
                event = yield
                next_pause = pause
                while True:
                    try:
                        post(event)
                    except Busy:
                        yield from mb.sleep(next_pause)
                        next_pause = min(2 * next_pause, LONGEST_PAUSE)
                    except Refused:
                        refused[customer].append(event)
                        break
                    else:
                        break

    pool = mb.Pool(
        post_all,
        start="on_demand",
        max_threads=max_threads,
        restart=mb.Restart(max_restarts=3, delay=pause, in_hand="retry"),
        on_dead_letter=lambda letter: undelivered[str(letter.key)].append(letter.message),
        name="webhooks",
    )
    with pool:
        pool.dispatch_all(events)
        pool.flush()  # also waits for what is tried again
    return Result(dict(refused), dict(undelivered))


def main() -> None:
    """Post five events to each of four customers, one of which cannot be reached."""
    logging.getLogger("threadpool_mb").setLevel(logging.CRITICAL)  # it logs each restart
    endpoints = {
        "good": Endpoint(),
        "busy": Endpoint([Busy, Busy, None, Busy, Busy, Busy]),
        "broken": Endpoint([None, ConnectionError, Refused, None, ConnectionError]),
        "gone": Endpoint([ConnectionError] * 100),
    }
    events = [(customer, f"event {number}") for number in range(1, 6) for customer in endpoints]
    result = deliver(endpoints, events)
    for customer in ("good", "busy", "broken"):
        endpoint = endpoints[customer]
        print(f"{customer}: {len(endpoint.taken)} events, {endpoint.connections} connections")
    print("refused:", result.refused)
    print("undelivered:", {customer: len(left) for customer, left in result.undelivered.items()})


if __name__ == "__main__":
    main()
