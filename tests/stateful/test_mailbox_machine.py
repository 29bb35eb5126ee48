"""Each kind of mailbox against a model: a deque, the claims on it, and three flags."""

import collections
from dataclasses import dataclass, field
from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import threadpool_mb as mb
from tests.insides import is_done

LIMIT: Final = 3


@dataclass(eq=False)
class Claim:
    """A future of the mailbox, and what the model knows of it."""

    future: mb.MessageFuture[int]
    message: int | None = None
    read: bool = False


@dataclass
class Model:
    """What the mailbox must look like."""

    waiting: collections.deque[int] = field(default_factory=collections.deque)
    unfilled: list[Claim] = field(default_factory=list)
    given_back: set[int] = field(default_factory=set)
    """Messages that a dropped future has put back, and that wait; they come on top of the limit."""
    dead: list[int] = field(default_factory=list)
    closed: bool = False
    cancelled: bool = False
    done: bool = False

    def fill(self, claim: Claim) -> type[BaseException] | None:
        """Fill the oldest claims until this one is filled; else return what must be raised."""
        while claim.message is None:
            if self.cancelled:
                return mb.Cancelled
            if not self.waiting:
                self.done = self.done or self.closed
                return mb.MailboxClosed if self.closed else mb.MailboxEmpty
            self.unfilled.pop(0).message = self.take()
        return None

    def take(self) -> int:
        message = self.waiting.popleft()
        self.given_back.discard(message)
        return message

    def put(self, message: int) -> None:
        self.waiting.append(message)

    def give_back(self, message: int) -> None:
        if self.done:
            self.dead.append(message)
        else:
            self.waiting.append(message)
            self.given_back.add(message)

    def abandon(self) -> None:
        self.closed = self.done = True
        self.dead.extend(self.waiting)
        self.waiting.clear()


class SlidingModel(Model):
    """What a sliding mailbox must look like: what was given back is never displaced."""

    limit: int = LIMIT

    def put(self, message: int) -> None:
        own = [each for each in self.waiting if each not in self.given_back] + [message]
        self.waiting.append(message)
        if len(own) > self.limit:
            self.dead.append(own.pop(0))
            # The new message has the place of the one before it, and so on.
            shifted = iter(own)
            places = [
                each if each in self.given_back else next(shifted, None) for each in self.waiting
            ]
            self.waiting = collections.deque(each for each in places if each is not None)


class SortedModel(Model):
    """What a sorted mailbox must look like: what was given back comes when it is the oldest."""

    def take(self) -> int:
        oldest = self.waiting[0]
        own = [each for each in self.waiting if each not in self.given_back]
        message = oldest if oldest in self.given_back else min(own, key=by_three)
        self.waiting.remove(message)
        self.given_back.discard(message)
        return message

    def abandon(self) -> None:
        self.closed = self.done = True
        while self.waiting:
            self.dead.append(self.take())


def by_three(message: int) -> int:
    """Return the priority of a message."""
    return message % 3


def model_of(config: mb.MailboxConfig) -> Model:
    """Return the model of a config's mailboxes."""
    if isinstance(config, mb.Sliding):
        model = SlidingModel()
        model.limit = config.limit
        return model
    return SortedModel() if isinstance(config, mb.Prioritized) else Model()


class MailboxMachine(RuleBasedStateMachine):
    """Does the same to a mailbox and to its model; one thread does everything."""

    def __init__(self, config: mb.MailboxConfig) -> None:
        super().__init__()
        self.limit = None if isinstance(config, mb.Sliding) else config.limit
        self.refuses = not isinstance(config, mb.Blocking | mb.CatchAll)
        self.dead: list[int] = []
        self.mailbox: mb.Mailbox[int] = config.create(on_dead_letter=self.dead.append)
        self.deliver_to_mailbox = self.mailbox.new_input().deliver
        self.model = model_of(config)
        self.claims: list[Claim] = []
        self.next_message = 0

    def room(self) -> tuple[bool, bool]:
        """Return whether a message must, and whether it may go in."""
        if self.limit is None:
            return True, True
        waiting = len(self.model.waiting)
        return waiting < self.limit, waiting - len(self.model.given_back) < self.limit

    @rule(count=st.integers(1, LIMIT + 1))
    def deliver(self, count: int) -> None:
        for _ in range(count):
            if self.model.closed or self.refuses or self.room()[0]:
                self.deliver_one()

    def deliver_one(self) -> None:
        message = self.next_message
        self.next_message += 1
        if self.model.closed:
            with pytest.raises(mb.MailboxClosed):
                self.deliver_to_mailbox(message)
            return
        must, may = self.room()
        delivered = self.deliver_to_mailbox(message)
        assert must <= delivered <= may
        if delivered:
            self.model.put(message)

    @rule()
    def receive(self) -> None:
        raised, message = self.expect()
        if raised is None:
            assert self.mailbox.receive(timeout=0) == message
        else:
            with pytest.raises(raised):
                self.mailbox.receive(timeout=0)

    @rule(most=st.integers(1, 5))
    def receive_many(self, most: int) -> None:
        raised, first = self.expect()
        if raised is not None:
            with pytest.raises(raised):
                self.mailbox.receive_many(most, timeout=0)
            return
        received = self.mailbox.receive_many(most, timeout=0)
        rest = [self.model.take() for _ in received[1:]]
        assert received == [first, *rest]
        assert len(received) <= most
        assert len(received) == most or not self.model.waiting
        # It may have looked for one more, and found the end; or what there was told it not to look.
        self.model.done |= self.model.closed and len(received) < most and is_done(self.mailbox)

    def expect(self) -> tuple[type[BaseException] | None, int | None]:
        """Receive from the model; return what must be raised, or the message."""
        claim = Claim(future=None)  # type: ignore[arg-type]
        self.model.unfilled.append(claim)
        raised = self.model.fill(claim)
        if raised is not None:
            self.model.unfilled.remove(claim)
        return raised, claim.message

    @precondition(lambda self: len(self.claims) < 4)
    @rule()
    def try_receive(self) -> None:
        claim = Claim(self.mailbox.try_receive())
        self.claims.append(claim)
        self.model.unfilled.append(claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def try_now(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims), "claim")
        raised = self.model.fill(claim)
        if raised is mb.MailboxEmpty:
            assert claim.future.try_now() is mb.MISSING
        elif raised is not None:
            with pytest.raises(raised):
                claim.future.try_now()
        else:
            assert claim.future.try_now() == claim.message
            claim.read = True

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def ask_whether_done(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims), "claim")
        expected = self.model.fill(claim) is None
        assert claim.future.done() is expected

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        claim = self.claims.pop(data.draw(st.integers(0, len(self.claims) - 1), "index"))
        if claim.message is None:
            self.model.unfilled.remove(claim)
        elif not claim.read:
            self.model.give_back(claim.message)
        del claim.future

    @rule()
    def fill_a_future_and_drop_it(self) -> None:
        claim = Claim(self.mailbox.try_receive())
        self.model.unfilled.append(claim)
        assert claim.future.done() is (self.model.fill(claim) is None)
        if claim.message is None:
            self.model.unfilled.remove(claim)
        else:
            self.model.give_back(claim.message)
        del claim.future

    # One rule, so that most runs do not end soon.
    @rule(how=st.sampled_from(["close", "cancel", "abandon"]))
    def end(self, how: str) -> None:
        if how == "abandon":
            self.model.abandon()
        self.model.closed = True
        self.model.cancelled |= how == "cancel"
        getattr(self.mailbox, how)()

    @invariant()
    def as_many_messages_wait_as_in_the_model(self) -> None:
        stats = self.mailbox.stats()
        assert len(self.mailbox) == stats.messages == len(self.model.waiting)
        assert (stats.closed, stats.cancelled) == (self.model.closed, self.model.cancelled)
        assert stats.senders_waiting == 0

    @invariant()
    def the_dead_letters_are_those_of_the_model(self) -> None:
        assert self.dead == self.model.dead


@pytest.mark.parametrize(
    "config",
    [
        mb.Unlimited(),
        mb.CatchAll(mb.Unlimited()),
        mb.Blocking(LIMIT),
        mb.Blocking(1),
        mb.CatchAll(mb.Blocking(LIMIT)),
        mb.NonBlocking(LIMIT),
        mb.NonBlocking(1),
        mb.Waiting(LIMIT, deliver_timeout=0),
        mb.Waiting(1, deliver_timeout=0, receive_timeout=0),
        mb.Sliding(LIMIT),
        mb.Sliding(1),
        mb.Prioritized(mb.Unlimited(), by_three),
        mb.Prioritized(mb.NonBlocking(LIMIT), by_three),
    ],
    ids=repr,
)
def test_a_mailbox_behaves_as_its_model_does(config: mb.MailboxConfig) -> None:
    run_state_machine_as_test(
        lambda: MailboxMachine(config),
        settings=settings(max_examples=60, stateful_step_count=30, deadline=None),
    )
