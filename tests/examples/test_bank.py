"""The bank: whatever happens to transfers and accounts, no money is lost, and none is made."""

import contextlib
import threading
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import threadpool_mb as mb
from examples.bank import (
    Bank,
    Deposit,
    InsufficientFunds,
    NoSuchAccount,
    Receipt,
    Transfer,
    run,
)
from tests.helpers import in_thread, run_together, until

SETTINGS = settings(max_examples=10, deadline=None)

NAMES = ["ann", "bob", "cid"]


def paid_out(bank: Bank) -> int:
    assert bank.under_way == {}
    return sum(amount for _, amount in bank.paid_out)


transfers = st.tuples(st.permutations([*NAMES, "nobody"]), st.integers(1, 150)).map(
    lambda drawn: (drawn[0][0], drawn[0][1], drawn[1])
)


@SETTINGS
@given(accounts=st.integers(2, 12), tellers=st.integers(1, 4), transfers=st.integers(0, 100))
@example(accounts=2, tellers=4, transfers=200)
def test_the_total_is_the_same_after_concurrent_transfers(
    accounts: int, tellers: int, transfers: int
) -> None:
    outcomes, audited, paid = run(accounts=accounts, tellers=tellers, transfers=transfers)

    assert outcomes.total() == tellers * transfers
    assert set(outcomes) <= {"Receipt", "InsufficientFunds", "NoSuchAccount", "CallNotDelivered"}
    assert audited == paid == 100 * accounts


@SETTINGS
@given(
    orders=st.lists(st.lists(transfers, max_size=30), min_size=1, max_size=4),
    timeouts=st.lists(st.sampled_from([None, 0.0, 1e-6, 1e-4]), min_size=1, max_size=5),
)
def test_the_total_is_the_same_when_callers_give_up(
    orders: list[list[tuple[str, str, int]]], timeouts: list[float | None]
) -> None:
    def order_all(bank: Bank, mine: list[tuple[str, str, int]]) -> Callable[[], None]:
        def order() -> None:
            for number, (source, target, amount) in enumerate(mine):
                timeout = timeouts[number % len(timeouts)]
                with contextlib.suppress(mb.CallError):
                    bank.transfer(source, target, amount, timeout=timeout)

        return order

    with Bank() as bank:
        for name in NAMES:
            bank.open(name, 100)
        run_together(*(order_all(bank, mine) for mine in orders))

    assert paid_out(bank) == 300
    assert min(amount for _, amount in bank.paid_out) >= 0


@SETTINGS
@given(
    orders=st.lists(st.lists(transfers, max_size=30), min_size=1, max_size=3),
    closed=st.lists(st.sampled_from(NAMES), max_size=20),
)
def test_the_total_is_the_same_when_accounts_are_closed_and_opened_again(
    orders: list[list[tuple[str, str, int]]], closed: list[str]
) -> None:
    paid_in = 300

    def order_all(bank: Bank, mine: list[tuple[str, str, int]]) -> Callable[[], None]:
        def order() -> None:
            for source, target, amount in mine:
                with contextlib.suppress(mb.CallFailed, mb.CallNotDelivered, mb.WorkerGone):
                    bank.transfer(source, target, amount)

        return order

    def close_and_open(bank: Bank) -> Callable[[], None]:
        def close() -> None:
            nonlocal paid_in
            for name in closed:
                assert bank.close(name)
                assert bank.open(name, 50)
                paid_in += 50

        return close

    with Bank() as bank:
        for name in NAMES:
            bank.open(name, 100)
        run_together(close_and_open(bank), *(order_all(bank, mine) for mine in orders))

    assert paid_out(bank) == paid_in
    assert min(amount for _, amount in bank.paid_out) >= 0


def test_a_transfer_is_answered_by_its_target() -> None:
    with Bank() as bank:
        bank.open("ann", 100)
        bank.open("bob", 7)

        assert bank.transfer("ann", "bob", 30) == Receipt(amount=30, balance=37)
        assert bank.audit() == {"ann": 70, "bob": 37}


def test_what_an_account_does_not_have_is_not_transferred() -> None:
    with Bank() as bank:
        bank.open("ann", 100)
        bank.open("bob", 7)

        with pytest.raises(mb.CallFailed) as failed:
            bank.transfer("ann", "bob", 101)

        assert isinstance(failed.value.__cause__, InsufficientFunds)
        assert str(failed.value.__cause__) == "ann has 100, not 101"
        assert bank.audit() == {"ann": 100, "bob": 7}


def test_nothing_is_withdrawn_for_nobody() -> None:
    with Bank() as bank:
        bank.open("ann", 100)

        with pytest.raises(mb.CallFailed) as failed:
            bank.transfer("ann", "nobody", 30)

        assert isinstance(failed.value.__cause__, NoSuchAccount)
        assert bank.audit() == {"ann": 100}


class Stuck(Deposit):
    """A deposit of nothing that keeps its account busy."""

    def __init__(self, bank: Bank, name: str) -> None:
        object.__setattr__(self, "busy", threading.Event())
        object.__setattr__(self, "go_on", threading.Event())
        bank.accounts.dispatch(name, mb.Cast(self))
        self.busy.wait()

    @property
    def amount(self) -> int:
        self.busy.set()
        self.go_on.wait()
        return 0


def test_money_for_an_account_that_takes_no_more_is_put_back() -> None:
    with Bank() as bank:
        bank.open("ann", 100)
        bank.open("bob", 7)
        ann, bob = Stuck(bank, "ann"), Stuck(bank, "bob")
        reply = mb.ask(bank.accounts.ref("ann"), Transfer("ann", "bob", 30))
        bank.accounts.close()
        ann.go_on.set()

        with pytest.raises(mb.CallNotDelivered, match="closed"):
            reply.result()
        bob.go_on.set()

    assert paid_out(bank) == 107
    assert set(bank.paid_out) == {("ann", 100), ("bob", 7)}


@pytest.mark.parametrize("source_closed", [False, True])
def test_money_for_an_account_that_goes_before_it_has_it_is_put_back(
    *, source_closed: bool
) -> None:
    with Bank() as bank:
        bank.open("ann", 100)
        bank.open("bob", 7)
        stuck = Stuck(bank, "bob")
        reply = mb.ask(bank.accounts.ref("ann"), Transfer("ann", "bob", 30))
        until(lambda: len(bank.under_way) == 1 and bank.accounts.stats().waiting == 1)
        if source_closed:
            bank.close("ann")
            until(lambda: bank.paid_out == [("ann", 70)])
        bank.accounts.remove("bob")
        stuck.go_on.set()

        with pytest.raises(mb.WorkerGone):
            reply.result()
        until(lambda: not bank.under_way)

    assert paid_out(bank) == 107
    assert sum(amount for name, amount in bank.paid_out if name == "ann") == 100


def test_transfers_in_a_circle_do_not_deadlock() -> None:
    with Bank() as bank:
        for name in NAMES:
            bank.open(name, 1_000)
        circle = [("ann", "bob"), ("bob", "cid"), ("cid", "ann")]

        def go_round(source: str, target: str) -> Callable[[], None]:
            def go() -> None:
                for _ in range(100):
                    bank.transfer(source, target, 1)

            return go

        run_together(*(go_round(source, target) for source, target in circle))

        assert bank.audit() == dict.fromkeys(NAMES, 1_000)


def test_a_bank_that_is_left_with_an_exception_books_what_is_under_way() -> None:
    bank, busy = Bank(), threading.Event()

    def transfer_until_the_bank_closes() -> None:
        # Either account may be the first to end.
        with contextlib.suppress(mb.CallError):
            while True:
                bank.transfer("ann", "bob", 1)
                busy.set()

    def leave() -> None:
        with bank:
            busy.wait()
            raise ZeroDivisionError

    bank.open("ann", 1_000_000)
    bank.open("bob", 0)
    with in_thread(transfer_until_the_bank_closes), pytest.raises(ZeroDivisionError):
        leave()

    assert paid_out(bank) == 1_000_000


def test_an_account_deposits_what_a_caller_no_longer_waits_for() -> None:
    mailbox: mb.Mailbox[mb.Call[Receipt]] = mb.Unlimited().create()
    with pytest.raises(mb.CallTimedOut):
        mb.call(mailbox.new_input(), Transfer("ann", "bob", 30), timeout=0)
    call = mailbox.receive()

    with Bank() as bank:
        bank.open("bob", 7)
        bank.under_way[call.reply_box.call_id] = Transfer("ann", "bob", 30)
        bank.accounts.dispatch("bob", call)

        assert bank.audit() == {"bob": 37}


@pytest.mark.parametrize(("source", "target", "amount"), [("a", "a", 1), ("a", "b", 0)])
def test_what_is_no_transfer_is_not_sent(source: str, target: str, amount: int) -> None:
    with pytest.raises(ValueError, match="not a transfer"):
        Transfer(source, target, amount)
