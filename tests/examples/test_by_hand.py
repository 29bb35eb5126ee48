"""What is written by hand gives the same results as the examples, and takes so many lines.

The results of examples in which something waits are in `test_by_hand_waiting.py`, all lines here.
"""

import ast
import asyncio
import inspect
import logging
import re
import sqlite3
import textwrap
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

import threadpool_mb as mb
from examples.heartbeats import Monitor
from examples.ledger import Books, book_all, ledger
from examples.order_pipeline import Shop as Pipeline
from examples.rate_limited import Client
from examples.sessions import Shop as Sessions
from examples.sessions import Store
from examples.telemetry import Station, Summary, in_rounds
from examples.tenant_databases import Add, Notes, Tenants
from examples.webhooks import Busy, Endpoint, Refused, Result, deliver
from tests.examples.by_hand import (
    LedgerByHand,
    SessionsByHand,
    StationByHand,
    TenantsByHand,
    deliver_by_hand,
)
from tests.examples.by_hand_asyncio import ClientOnAsyncio, MonitorOnAsyncio
from tests.examples.by_hand_waiting import ClientByHand, MonitorByHand, PipelineByHand
from tests.helpers import run_together, until

PAGE: Final = Path(__file__).parents[2] / "docs" / "examples.md"


def lines(thing: Callable[..., object]) -> int:
    """Return the lines of a function or class, without comments, docstrings and line breaks."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            while isinstance(node.body[0], ast.Expr) and isinstance(
                node.body[0].value, ast.Constant
            ):
                del node.body[0]
    return sum(bool(line.strip()) for line in ast.unparse(tree).splitlines())


@pytest.mark.parametrize("make", [ledger, LedgerByHand])
def test_the_ledger_commits_the_same(make: Callable[..., LedgerByHand]) -> None:
    books = Books()
    senders = [[(f"account {n % 5}", shop * 100 + n) for n in range(50)] for shop in (1, 2)]

    with make(books, limit=3, idle_timeout=0.002) as pool:
        assert book_all(pool, senders) == 100
        until(lambda: sum(map(len, books.committed.copy().values())) == 100)  # by idle ends
        assert pool.dispatch("account 0", 7)

    for each in range(5):
        committed = books.committed[f"account {each}"]
        for shop in (1, 2):
            of_shop = [amount for amount in committed if amount // 100 == shop]
            assert of_shop == [shop * 100 + n for n in range(each, 50, 5)]
    assert books.committed.keys() == {f"account {each}" for each in range(5)}
    assert sum(map(len, books.committed.values())) == 101
    assert books.committed["account 0"][-1] == 7
    assert books.rolled_back == {}


@pytest.mark.parametrize("idle_timeout", [0.0001, 10.0])
@pytest.mark.parametrize("make", [Station, StationByHand])
def test_the_station_stores_the_same(make: Callable[..., Station], idle_timeout: float) -> None:
    station = make(max_keys=5, idle_timeout=idle_timeout)

    station.take(in_rounds(devices=20, rounds=4))

    assert station.archive == {
        device: Summary(4, float(device), device + 1.5, 0) for device in range(20)
    }
    assert station.ends.total() >= 20


@pytest.mark.parametrize("function", [deliver, deliver_by_hand])
def test_the_webhooks_are_delivered_the_same(
    function: Callable[..., Result], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, logger="threadpool_mb")
    endpoints = {
        "good": Endpoint(),
        "busy": Endpoint([Busy, Busy, None, Busy, Busy, Busy]),
        "broken": Endpoint([None, ConnectionError, Refused, None, ConnectionError]),
        "gone": Endpoint([ConnectionError] * 100),
    }
    events = [(customer, f"event {number}") for number in range(1, 6) for customer in endpoints]

    result = function(endpoints, events)

    all_events = [f"event {number}" for number in range(1, 6)]
    assert {customer: endpoint.taken for customer, endpoint in endpoints.items()} == {
        "good": all_events,
        "busy": all_events,
        "broken": ["event 1", "event 3", "event 4", "event 5"],
        "gone": [],
    }
    assert result == Result({"broken": ["event 2"]}, {"gone": all_events})


@pytest.mark.parametrize("idle_timeout", [0.0001, 0.02])
@pytest.mark.parametrize("make", [Sessions, SessionsByHand])
def test_the_sessions_save_the_same(
    make: Callable[..., Sessions], idle_timeout: float, caplog: pytest.LogCaptureFixture
) -> None:
    async def visit() -> list[tuple[str, ...]]:
        shop = make(store, idle_timeout=idle_timeout)
        async with shop.sessions:
            for day in ("monday", "tuesday"):
                async with asyncio.TaskGroup() as group:
                    for name in names:
                        for number in range(20):
                            group.create_task(shop.handle(name, f"{day} {number}"))
                for number in range(20, 40):  # one after the other, between which it may end
                    answers.append(await shop.handle("ann", f"{day} {number}"))
                await shop.all_passivated()
            return [await shop.cart(name) for name in names]

    store, names, answers = Store(), ["ann", "bob", "cid"], list[int]()

    carts = asyncio.run(visit())

    ann, of_others = (
        tuple(f"{day} {n}" for day in ("monday", "tuesday") for n in range(count))
        for count in (40, 20)
    )
    assert carts == [ann, of_others, of_others]
    assert store.carts == dict(zip(names, carts, strict=True))
    assert answers == [*range(21, 41), *range(61, 81)]
    assert min(store.loads.count(name) for name in names) >= 3
    assert caplog.messages == []  # nor has a timer's callback raised


@pytest.mark.parametrize("make", [Sessions, SessionsByHand])
def test_a_session_in_use_stays_in_memory_and_one_that_is_cancelled_is_not_saved(
    make: Callable[..., Sessions],
) -> None:
    async def visit() -> None:
        shop = make(store, idle_timeout=60.0)
        async with shop.sessions:
            assert [await shop.handle("ann", item) for item in ("tea", "rice")] == [2, 3]
            raise ZeroDivisionError

    store = Store()
    store.save("ann", ("salt",))

    with pytest.raises(ZeroDivisionError):
        asyncio.run(visit())
    assert store.loads == ["ann"]
    assert store.carts == {"ann": ("salt",)}


def rows_of(folder: Path, name: str) -> list[str]:
    connection = sqlite3.connect(folder / f"{name}.sqlite3")
    try:
        return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY number")]
    finally:
        connection.close()


@pytest.mark.parametrize("make", [Tenants, TenantsByHand])
def test_the_tenants_keep_the_same_notes(make: Callable[..., Tenants], tmp_path: Path) -> None:
    def use(tenants: Tenants, user: int) -> None:
        for number in range(10):
            for name in names:
                tenants.add(name, f"{user} {number}")
            seen[user].append(tenants.notes(f"own {user}"))
            tenants.add(f"own {user}", str(number))

    names, seen = ["acme", "bolt", "coil"], defaultdict[int, list[tuple[str, ...]]](list)
    with make(tmp_path, max_open=2) as tenants:
        run_together(lambda: use(tenants, 1), lambda: use(tenants, 2))
        until(lambda: len(tenants.pool) <= 2)  # there may be more while none is idle
        for name in names:
            tenants.notes(name)  # at least one of the three is closed

    for name in names:
        rows = rows_of(tmp_path, name)
        for user in (1, 2):
            assert [row for row in rows if row[0] == str(user)] == [
                f"{user} {n}" for n in range(10)
            ]
        assert len(rows) == 20
    numbers = tuple(map(str, range(10)))
    for user in (1, 2):
        assert seen[user] == [numbers[:n] for n in range(10)]
        assert rows_of(tmp_path, f"own {user}") == list(numbers)
    opened = [name for name, what in tenants.log if what == "opened"]
    assert sorted(name for name, what in tenants.log if what != "opened") == sorted(opened)
    assert len(opened) > 5


@pytest.mark.parametrize("make", [Tenants, TenantsByHand])
def test_the_tenants_roll_the_same_back(
    make: Callable[..., Tenants], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with make(tmp_path, max_open=2) as tenants:
        tenants.add("acme", "kept")
        tenants.pool.remove("acme", drain=True)
        tenants.add("acme", "lost")
        tenants.pool.dispatch("acme", mb.Cast(Add(object())))  # type: ignore[arg-type]
        with pytest.raises((mb.WorkerGone, mb.CallNotDelivered)):
            mb.call(tenants.pool.ref("acme"), Notes())
        tenants.add("bolt", "kept")
        assert tenants.notes("acme") == ("kept",)

    assert rows_of(tmp_path, "acme") == rows_of(tmp_path, "bolt") == ["kept"]
    assert "not supported" in caplog.text


def test_the_page_tells_how_many_lines_that_takes() -> None:
    rows = re.findall(
        r"(?m)^\| `(\w+)\.py`: `(\w+)` \| (\d+) \| (\d+) \|$", PAGE.read_text("utf-8")
    )

    assert rows == [
        (name, made.__name__, str(lines(by_hand)), str(lines(made)))
        for name, by_hand, made in [
            ("ledger", LedgerByHand, ledger),
            ("telemetry", StationByHand, Station),
            ("webhooks", deliver_by_hand, deliver),
            ("sessions", SessionsByHand, Sessions),
            ("tenant_databases", TenantsByHand, Tenants),
            ("rate_limited", ClientByHand, Client),
            ("heartbeats", MonitorByHand, Monitor),
            ("order_pipeline", PipelineByHand, Pipeline),
        ]
    ]


def test_the_page_tells_how_many_lines_that_takes_without_a_pool() -> None:
    row = re.findall(r"(?s)`Client` (\d+) lines,\s+`Monitor` (\d+)\.", PAGE.read_text("utf-8"))

    assert row == [(str(lines(ClientOnAsyncio)), str(lines(MonitorOnAsyncio)))]
