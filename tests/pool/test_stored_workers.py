"""Workers of each kind whose mailbox is `Sliding` or `Prioritized`, from start to end."""

import asyncio
import collections
import math
import threading
from collections.abc import Generator
from typing import Any, Final

import pytest

import threadpool_mb as mb
from tests.conformance.configs import Alike
from tests.helpers import DEADLINE, Running, in_thread, run_together, until
from tests.insides import roster_of
from tests.lives.test_on_demand import Kind, worker_of
from tests.pool.witness import Gate
from threadpool_mb.line.flushing import waiting_at

PLACES: Final[list[tuple[Kind, dict[str, Any]]]] = [
    ("function", {}),
    ("function", {"idle_timeout": 60}),
    ("generator", {}),
    ("generator", {"idle_timeout": 60}),
    ("generator", {"pinned": True}),
    ("generator", {"pinned": True, "max_keys": 9}),
]


class Say(mb.Command[str]):
    """Asks for its own text."""

    def __init__(self, text: str, priority: float = 0) -> None:
        self.text: Final = text
        self.priority: Final = priority


def priority(message: object) -> float:
    """Return the priority that a message, or the command of a call, names."""
    if isinstance(message, mb.Call):
        command: Say = message.command
        return command.priority
    return message if isinstance(message, int | float) else 0


SORTED: Final = mb.Prioritized(mb.Unlimited(), priority)


class Place:
    """A pool of workers of one kind, and what they and its hook have seen."""

    def __init__(self, kind: Kind, options: dict[str, Any]) -> None:
        self.kind: Final = kind
        self.handled: Final[list[Any]] = []
        self.letters: Final[list[mb.DeadLetter[str, Any]]] = []
        self.threads: Final[list[int]] = []
        """Those on which calls were handled."""
        self.gate: Final = Gate()
        self._options: Final = options

    def pool(self, mailbox: mb.MailboxConfig, **options: Any) -> mb.Pool[str, Any]:  # noqa: ANN401 - what `Pool` takes
        """Return a pool for this place."""
        hooks = {"on_dead_letter": self.letters.append}
        return mb.Pool(
            worker_of(self.kind, self._handle), mailbox=mailbox, **(hooks | self._options | options)
        )

    def held(self, mailbox: mb.MailboxConfig, **options: Any) -> mb.Pool[str, Any]:  # noqa: ANN401 - what `Pool` takes
        """Return a pool whose worker of key "a" has a message in hand until the gate is opened."""
        pool = self.pool(mailbox, **options)
        pool.initialize("a", self.gate)
        self.gate.wait_until_reached()
        return pool

    def _handle(self, _key: object, message: object) -> None:
        if isinstance(message, mb.Call):
            self.threads.append(threading.get_ident())
            self.handled.append(message.command.text)
            message.reply_box.reply(message.command.text)
        elif callable(message):
            message()
        else:
            self.handled.append(message)

    @property
    def dead(self) -> list[tuple[Any, str]]:
        """The dead letters: messages with their reasons."""
        return [(letter.message, str(letter.reason)) for letter in self.letters]


@pytest.fixture(params=PLACES, ids=repr)
def place(request: pytest.FixtureRequest) -> Place:
    """Return workers of each kind."""
    kind, options = request.param
    return Place(kind, options)


@pytest.mark.parametrize("end", ["close", "drain"])
def test_a_worker_with_a_sliding_mailbox_handles_the_latest_messages(
    place: Place, end: str
) -> None:
    with place.held(mb.Sliding(2)) as pool:
        taken = [pool.dispatch("a", message) for message in range(5)]
        waiting = pool.stats().waiting
        if end == "drain":
            pool.remove("a", drain=True)
        else:
            pool.close()
        place.gate.open()

    assert taken == [True] * 5
    assert waiting == 2
    assert place.handled == [3, 4]
    assert place.dead == [(0, "displaced"), (1, "displaced"), (2, "displaced")]


def test_what_is_left_in_a_sliding_mailbox_dies_with_its_worker(place: Place) -> None:
    with place.held(mb.Sliding(2)) as pool:
        pool.dispatch_many("a", range(5))
        pool.remove("a")
        place.gate.open()

    assert place.handled == []
    assert place.dead == [
        (0, "displaced"),
        (1, "displaced"),
        (2, "displaced"),
        (3, "worker removed"),
        (4, "worker removed"),
    ]
    assert pool.join(timeout=DEADLINE).dead_letters == {
        mb.DeadLetterReason.DISPLACED: 3,
        mb.DeadLetterReason.WORKER_REMOVED: 2,
    }


def test_a_worker_with_sorted_messages_handles_the_lowest_priority_first(place: Place) -> None:
    with place.held(SORTED) as pool:
        for message in (3, 1.5, 2, True, -1):
            pool.dispatch("a", message)
        place.gate.open()
        until(lambda: len(place.handled) == 5)
        pool.dispatch("a", 7)

    assert place.handled == [-1, True, 1.5, 2, 3, 7]
    assert place.dead == []


@pytest.mark.parametrize("end", ["close", "drain"])
def test_a_worker_that_is_closed_handles_its_backlog_in_the_order_of_priorities(
    place: Place, end: str
) -> None:
    with place.held(SORTED, throughput=None if place.kind == "function" else 1) as pool:
        pool.dispatch_many("a", [5, 3, 4])
        if end == "drain":
            pool.remove("a", drain=True)
        else:
            pool.close()
        place.gate.open()

    assert place.handled == [3, 4, 5]


def test_what_is_left_of_sorted_messages_dies_with_its_worker(place: Place) -> None:
    with place.held(mb.Prioritized(mb.Blocking(5), priority)) as pool:
        pool.dispatch_many("a", [3, 1, 2])
        pool.cancel()
        place.gate.open()

    assert place.handled == []
    assert sorted(place.dead) == [(each, "pool closed") for each in (1, 2, 3)]


def test_a_sender_waits_for_room_among_sorted_messages(place: Place) -> None:
    with place.held(mb.Prioritized(mb.Blocking(2), priority)) as pool:
        pool.dispatch_many("a", [2, 3])
        with in_thread(lambda: pool.dispatch("a", 1)) as sender:
            until(lambda: next(pool.workers()).senders_waiting == 1)
            place.gate.open()
        assert sender.result()

    assert sorted(place.handled) == [1, 2, 3]
    assert place.handled.index(2) < place.handled.index(3)


@pytest.mark.parametrize("limit", [None, 1])
def test_a_bad_priority_reaches_the_sender_and_nothing_was_taken(
    place: Place, limit: int | None
) -> None:
    config = mb.Unlimited() if limit is None else mb.NonBlocking(limit)
    with place.pool(mb.Prioritized(config, priority), start="on_demand") as pool:
        with pytest.raises(ValueError, match="not nan"):
            pool.dispatch("a", math.nan)
        assert pool.keys() == []
        pool.dispatch("a", 1)
        assert pool.flush(timeout=DEADLINE)
        for send in (
            lambda: pool.dispatch("a", math.nan),
            lambda: pool.dispatch_many("a", [math.nan]),
            lambda: pool.ref("a").deliver(math.nan),
            lambda: asyncio.run(mb.aio.deliver(pool.ref("a"), math.nan)),
            lambda: pool.initialize("b", math.nan),
        ):
            with pytest.raises(ValueError, match="not nan"):
                send()
        assert pool.stats().waiting == 0
        assert pool.keys() == ["a"]

    assert place.handled == [1]
    assert place.dead == []


def test_a_bad_priority_of_a_call_reaches_its_caller(place: Place) -> None:
    with place.pool(SORTED) as pool:
        pool.initialize("a")
        assert pool.flush(timeout=DEADLINE)
        for _ in range(2):  # a second time when the worker is idle
            with pytest.raises(ValueError, match="not nan"):
                mb.call(pool.ref("a"), Say("x", math.nan))
            assert mb.call(pool.ref("a"), Say("y", 1)) == "y"

    assert place.handled == ["y", "y"]


def test_with_a_catch_all_around_it_a_bad_priority_is_refused(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with place.pool(mb.CatchAll(SORTED)) as pool:
        pool.initialize("a")
        assert pool.dispatch("a", 1)
        assert not pool.dispatch("a", math.nan)
        with pytest.raises(mb.CallNotDelivered, match="refused by the limit"):
            mb.call(pool.ref("a"), Say("x", math.nan))

    assert place.handled == [1]
    assert [reason for _, reason in place.dead] == ["refused by the limit"] * 2
    assert "not nan" in caplog.text


def test_a_message_whose_priority_fails_at_its_time_is_a_dead_letter(place: Place) -> None:
    with place.pool(SORTED) as pool:
        pool.initialize("a")
        pool.dispatch_later(0, "a", math.nan)
        until(lambda: place.letters)
        pool.dispatch_later(0, "a", 1)
        until(lambda: place.handled)

    assert place.handled == [1]
    assert [reason for _, reason in place.dead] == ["worker failed"]


def test_the_caller_of_a_call_that_was_displaced_is_told(place: Place) -> None:
    with place.held(mb.Sliding(1)) as pool:
        old = Running(lambda: mb.call(pool.ref("a"), Say("old")))
        until(lambda: pool.stats().waiting == 1)
        new = mb.ask(pool.ref("a"), Say("new"))
        with pytest.raises(mb.CallNotDelivered, match="was not delivered: displaced") as told:
            old.result()
        place.gate.open()
        assert new.result(timeout=DEADLINE) == "new"

    assert told.value.reason is mb.DeadLetterReason.DISPLACED
    assert told.value.key == "a"
    assert place.handled == ["new"]
    assert [reason for _, reason in place.dead] == ["displaced"]


def test_calls_are_sorted_as_messages_are(place: Place) -> None:
    with place.held(SORTED) as pool:
        replies = [mb.ask(pool.ref("a"), Say(f"{each}", each)) for each in (3, 1, 2)]
        place.gate.open()
        assert [reply.result(timeout=DEADLINE) for reply in replies] == ["3", "1", "2"]

    assert place.handled == ["1", "2", "3"]


@pytest.mark.parametrize("config", [SORTED, mb.CatchAll(SORTED)], ids=["sorted", "CatchAll"])
def test_a_call_that_could_be_handled_on_its_callers_thread_needs_a_priority_too(
    config: mb.MailboxConfig,
) -> None:
    place = Place("generator", {"inline_calls": True})
    with place.pool(config) as pool:
        pool.initialize("a")
        until(lambda: next(pool.workers()).state == "idle")

        with pytest.raises((ValueError, mb.CallNotDelivered)):
            mb.call(pool.ref("a"), Say("x", math.nan))
        assert mb.call(pool.ref("a"), Say("y", 1)) == "y"

    assert place.handled == ["y"]


def test_with_a_catch_all_around_it_a_bad_priority_is_refused_in_the_next_life_too() -> None:
    place = Place("generator", {"restart": mb.Restart(delay=0)})

    def fail() -> None:
        raise LookupError

    with place.pool(mb.CatchAll(SORTED)) as pool:
        pool.initialize("a", fail)
        until(lambda: pool.stats().restarted == 1)

        assert not pool.dispatch("a", math.nan)
        assert pool.dispatch("a", 1)

    assert place.handled == [1]


@pytest.mark.parametrize("kind", ["function", "generator"])
def test_a_late_message_is_handed_on_with_the_priority_that_it_has(kind: Kind) -> None:
    asked: list[int] = []
    handled: list[int] = []

    def rank(message: int) -> int:
        assert not held_here(roster_of(pool).lock)
        asked.append(message)
        return message

    def in_turns(_key: str) -> Generator[None, int]:
        handled.append((yield))

    def function(_key: str, mailbox: mb.Mailbox[int]) -> None:
        handled.append(mailbox.receive())

    worker: Any = in_turns if kind == "generator" else function
    with mb.Pool(worker, mailbox=mb.Prioritized(mb.Unlimited(), rank), start="on_demand") as pool:
        pool.dispatch("a", 1)
        ended: Any = roster_of(pool).current("a")
        until(lambda: ended.state == "ended")

        # As a sender does that has found it open before it ended.
        for message in (3, 2):
            ended.inlet.put(message)
        ended.inlet.attend()
        until(lambda: len(handled) == 3)

    assert handled == [1, 2, 3]
    assert asked == [1, 3, 2]


def held_here(lock: Any) -> bool:  # noqa: ANN401 - an RLock
    """Return whether this thread holds a lock."""
    owned: bool = lock._is_owned()
    return owned


@pytest.mark.parametrize("config", [mb.Sliding(9), SORTED], ids=["Sliding", "Prioritized"])
def test_a_call_to_an_idle_worker_may_be_handled_on_its_callers_thread(
    config: mb.MailboxConfig,
) -> None:
    place = Place("generator", {"inline_calls": True})
    with place.pool(config) as pool:
        pool.initialize("a")
        until(lambda: next(pool.workers()).state == "idle")

        assert mb.call(pool.ref("a"), Say("here")) == "here"

    assert place.threads == [threading.get_ident()]


@pytest.mark.parametrize(
    "config",
    [mb.Sliding(1), SORTED, mb.Prioritized(mb.Blocking(1), priority)],
    ids=["Sliding", "Prioritized", "Prioritized(Blocking)"],
)
def test_tasks_of_asyncio_send_to_it(place: Place, config: mb.MailboxConfig) -> None:
    async def send(target: mb.KeyInput[str, Any]) -> list[bool]:
        delivered = await asyncio.gather(*(mb.aio.deliver(target, number) for number in range(20)))
        assert await mb.aio.call(target, Say("last", 99)) == "last"
        return delivered

    with place.pool(config, start="on_demand") as pool:
        assert asyncio.run(send(pool.ref("a"))) == [True] * 20

    dead = [message for message, _ in place.dead]
    assert place.handled[-1] == "last"
    assert sorted(place.handled[:-1] + dead) == list(range(20))
    assert not dead or config == mb.Sliding(1)


@pytest.mark.parametrize("limit", [1, 3])
def test_a_flush_is_over_when_what_was_put_before_is_handled_or_displaced(
    place: Place, limit: int
) -> None:
    with place.held(mb.Sliding(limit)) as pool:
        pool.dispatch_many("a", range(limit))
        with in_thread(lambda: pool.flush("a", timeout=DEADLINE)) as flushing:
            until(lambda: _markers(pool) == 1)
            pool.dispatch_many("a", range(10, 10 + 2 * limit))  # they displace, but no marker
            assert flushing.running
            assert pool.stats().waiting == limit
            place.gate.open()
            assert flushing.result()
            assert not pool.stats().waiting or place.handled

    assert len(place.handled) == limit
    assert len(place.dead) == 2 * limit


def test_a_flush_waits_for_what_was_overtaken_and_not_for_what_came_after_it(place: Place) -> None:
    ranks: dict[object, int] = {"before": 5, "urgent": 1, "after": 9}

    def rank(message: object) -> float:
        return ranks.get(message, 0)

    with place.held(mb.Prioritized(mb.Unlimited(), rank)) as pool:
        pool.dispatch("a", "before")
        with in_thread(lambda: pool.flush("a", timeout=DEADLINE)) as flushing:
            until(lambda: _markers(pool) == 1)
            pool.dispatch("a", "urgent")
            pool.dispatch("a", "after")
            place.gate.open()
            assert flushing.result()
            assert {"urgent", "before"} <= set(place.handled)

    assert place.handled == ["urgent", "before", "after"]


def _markers(pool: mb.Pool[str, Any]) -> int:
    """Return how many flushes wait for the pool's only worker."""
    worker = roster_of(pool).current("a")
    assert worker is not None
    return waiting_at(worker.inlet)


@pytest.mark.parametrize("config", [mb.Sliding(100), SORTED], ids=["Sliding", "Prioritized"])
def test_a_worker_that_is_started_again_keeps_its_messages_and_their_order(
    config: mb.MailboxConfig,
) -> None:
    place = Place("generator", {})

    def fail() -> None:
        place.gate()
        raise LookupError

    with place.pool(config, restart=mb.Restart(delay=0)) as pool:
        pool.initialize("a", fail)
        place.gate.wait_until_reached()
        pool.dispatch_many("a", [3, 1, 2])
        place.gate.open()
        until(lambda: len(place.handled) == 3)

    assert place.handled == ([3, 1, 2] if config == mb.Sliding(100) else [1, 2, 3])


@pytest.mark.parametrize("config", [mb.Sliding(100), SORTED], ids=["Sliding", "Prioritized"])
@pytest.mark.parametrize("kind", ["function", "generator"])
def test_messages_that_come_as_a_worker_returns_are_for_the_next_one_of_the_key(
    kind: Kind, config: mb.MailboxConfig
) -> None:
    handled: list[int] = []
    dead: list[mb.DeadLetter[str, int]] = []

    def in_turns(_key: str) -> Generator[None, int]:
        handled.append((yield))
        handled.append((yield))

    def function(_key: str, mailbox: mb.Mailbox[int]) -> None:
        handled.append(mailbox.receive())
        handled.append(mailbox.receive())

    worker: Any = in_turns if kind == "generator" else function
    with mb.Pool(worker, mailbox=config, start="on_demand", on_dead_letter=dead.append) as pool:
        run_together(
            *(lambda base=base: pool.dispatch_many("a", range(base, base + 50)) for base in (0, 50))
        )
        assert pool.flush(timeout=DEADLINE)

    assert collections.Counter(handled) + collections.Counter(
        letter.message for letter in dead
    ) == collections.Counter(range(100))
    assert dead == []


@pytest.mark.parametrize("config", [mb.Sliding(4), SORTED], ids=["Sliding", "Prioritized"])
def test_a_broker_takes_either(config: mb.MailboxConfig) -> None:
    handled: list[int] = []

    with mb.Broker(
        mb.BrokerConfig(
            demultiplex=lambda message: mb.Dispatch("a", message),
            create=lambda key, message: None,
            handle=lambda key, message, resource: handled.append(message),
            clean=lambda key, resource: None,
        ),
        mailbox=config,
        start="on_demand",
    ) as broker:
        for message in range(4):
            broker.input.deliver(message)

    assert handled == [0, 1, 2, 3]


def test_what_a_brokers_mailbox_has_displaced_has_that_reason() -> None:
    gate = Gate()
    letters: list[mb.DeadLetter[Any, Any]] = []
    handled: list[int] = []

    def handle(_key: str, message: int, _resource: object) -> None:
        if not message:
            gate()
        handled.append(message)

    with mb.Broker(
        mb.BrokerConfig(
            demultiplex=lambda message: mb.Dispatch("a", message),
            create=lambda key, message: None,
            handle=handle,
            clean=lambda key, resource: None,
        ),
        mailbox=mb.Sliding(1),
        start="on_demand",
        on_dead_letter=letters.append,
    ) as broker:
        broker.input.deliver(0)
        gate.wait_until_reached()
        for message in (1, 2):
            broker.input.deliver(message)
        gate.open()

    assert handled == [0, 2]
    assert [(letter.message, letter.reason) for letter in letters] == [(1, "displaced")]


@pytest.mark.parametrize("timeout", [None, 1])
def test_the_lanes_of_generator_workers_have_no_receive_timeout_sorted_or_not(
    timeout: float | None,
) -> None:
    config = mb.Prioritized(mb.Waiting(1, deliver_timeout=1, receive_timeout=timeout), Alike())

    def make() -> mb.Pool[str, int]:
        return mb.Pool(worker_of("generator", lambda key, message: None), mailbox=config)

    if timeout is None:
        with make() as pool:
            assert pool.initialize("a", 1)
    else:
        with pytest.raises(ValueError, match=r"no receive_timeout, as in .*Waiting"):
            make()


@pytest.mark.racing
@pytest.mark.parametrize("kind", ["function", "generator"])
def test_of_eight_senders_each_keys_last_message_is_handled(kind: Kind) -> None:
    keys = "abcd"
    last: dict[str, Any] = {}
    handled: dict[str, list[Any]] = {key: [] for key in keys}

    def handle(key: str, message: object) -> None:
        handled[key].append(message)

    letters: list[mb.DeadLetter[str, Any]] = []
    sent = {(sender, key): list(range(100)) for sender in range(8) for key in keys}

    def send(sender: int) -> None:
        for number in range(100):
            for key in keys:
                assert pool.dispatch(key, (sender, number))

    with mb.Pool(
        worker_of(kind, handle),
        mailbox=mb.Sliding(1),
        on_dead_letter=letters.append,
        start="on_demand",
    ) as pool:
        run_together(*(lambda sender=sender: send(sender) for sender in range(8)))
        for key in keys:
            last[key] = ("last", key)
            assert pool.dispatch(key, last[key])
    assert {key: messages[-1] for key, messages in handled.items()} == last
    assert {letter.reason for letter in letters} <= {mb.DeadLetterReason.DISPLACED}
    for (sender, key), numbers in sent.items():
        mine = [number for by, number in handled[key] if by == sender]
        dead = [
            letter.message[1]
            for letter in letters
            if letter.key == key and letter.message[0] == sender
        ]
        assert mine == sorted(mine)
        assert sorted(mine + dead) == numbers
