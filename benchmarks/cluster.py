"""A pool on a Dask cluster of two processes: `python -m benchmarks.cluster`.

- `stream`: a million messages over ten thousand keys from two threads; what is lost, twice, or out
  of order; messages a second, against one `Pool` in one other process that is fed through a pipe of
  `multiprocessing`: a message at a time, and, for comparison, a thousand at a time.
- `cpu`: handlers that compute, against two processes by hand, each with a `Pool`, which this one
  feeds in the same way, a thousand messages at a time, and which tell nothing but the end. Each has
  as many of the keys, and gets them in turn: with keys as they come one node has some hundredths
  more than half, and the other waits for it. Also what each process takes of the processors.
- `kill`: Dask workers that are killed, one after the other, in the middle: what becomes of each
  message and of each call, without and with `redeliver`.
- `join`: a Dask worker more in the middle: which keys move, and whether order is kept.
- `memory`: the resident memory of the client and of the Dask workers over some minutes.

Needs `distributed`, whose profiler it turns off: that crashes free-threaded workers now and then,
and keeps a thousand seconds of samples, which `memory` would see grow. Each part prints its
figures, and ends with an error if a count is not exact.
"""

import argparse
import collections
import contextlib
import dataclasses
import functools
import itertools
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any, Final

import dask
import psutil
from distributed import Client, LocalCluster

import threadpool_mb as mb
from threadpool_mb.cluster import ClusterPool
from threadpool_mb.cluster.placing import digest_of, owner_of

SENDERS: Final = 2
NODES: Final = 2
BATCH: Final = 1000
END: Final = None
NO_PROFILER: Final = "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED"
"""For the processes that are started here."""


@dataclasses.dataclass(frozen=True, slots=True)
class GetCounts(mb.Command[tuple[int, int]]):
    """How many messages were handled, and how many were not the next one of their sender."""


def counting(key: str) -> Generator[None, Any]:
    """Count what comes: pairs of the sender and its number for this key."""
    del key
    following = [0] * SENDERS
    handled = wrong = 0
    while True:
        message = yield
        if type(message) is tuple:
            sender, number = message
            handled += 1
            wrong += number != following[sender]
            following[sender] = number + 1
        else:
            message.reply_box.reply((handled, wrong))


def computing(key: str) -> Generator[None, Any]:
    """Compute for some hundred µs for each message."""
    del key
    while True:
        message = yield
        if isinstance(message, mb.Call):
            message.reply_box.reply((0, 0))
        else:
            total = 0
            for number in range(message):
                total += number * number


def _fed(pipe: Connection, worker: Callable[[str], Any], keys: list[str]) -> None:
    """Run a pool that is fed through a pipe, a list of messages or one message at a time."""
    with mb.Pool(worker, start="on_demand") as pool:
        pipe.send("ready")
        while (received := pipe.recv()) is not END:
            if type(received) is list:
                for key, message in received:
                    pool.dispatch(key, message)
            else:
                pool.dispatch(*received)
        pool.flush()
        pipe.send([mb.call(pool.ref(key), GetCounts()) for key in keys])


@contextlib.contextmanager
def _processes(
    count: int, worker: Callable[[str], Any], keys: list[str]
) -> Iterator[list[Connection]]:
    context = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    processes = []
    for _ in range(count):
        here, there = context.Pipe()
        process = context.Process(target=_fed, args=(there, worker, keys))
        process.start()
        pipes.append(here)
        processes.append(process)
    for pipe in pipes:
        assert pipe.recv() == "ready"  # noqa: S101 - it says nothing else
    yield pipes
    for process in processes:
        process.join()


def _together(*functions: Callable[[], object]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _stream_cluster(client: Client, messages: int, keys: list[str]) -> float:
    each = messages // len(keys) // SENDERS
    dead: list[Any] = []
    with ClusterPool(counting, client, on_dead_letter=dead.append) as pool:

        def send(sender: int) -> None:
            for number in range(each):
                for key in keys:
                    pool.dispatch(key, (sender, number))

        start = time.perf_counter()
        _together(*[functools.partial(send, sender) for sender in range(SENDERS)])
        pool.flush()
        seconds = time.perf_counter() - start
        replies = [mb.ask(pool.ref(key), GetCounts()) for key in keys]
        counts = [reply.result() for reply in replies]
    _exact("cluster", counts, each * SENDERS, dead)
    return each * SENDERS * len(keys) / seconds


def _stream_pipe(messages: int, keys: list[str], *, many: bool) -> float:
    each = messages // len(keys) // SENDERS
    lock = threading.Lock()
    with _processes(1, counting, keys) as (pipe,):

        def send(sender: int) -> None:
            batch: list[tuple[str, tuple[int, int]]] = []
            for number in range(each):
                for key in keys:
                    if not many:
                        with lock:
                            pipe.send((key, (sender, number)))
                        continue
                    batch.append((key, (sender, number)))
                    if len(batch) == BATCH:
                        with lock:
                            pipe.send(batch)
                        batch = []
            if batch:
                with lock:
                    pipe.send(batch)

        start = time.perf_counter()
        _together(*[functools.partial(send, sender) for sender in range(SENDERS)])
        pipe.send(END)
        counts = pipe.recv()
        seconds = time.perf_counter() - start
    _exact("pipe", counts, each * SENDERS, [])
    return each * SENDERS * len(keys) / seconds


def _exact(what: str, counts: list[tuple[int, int]], each: int, dead: list[Any]) -> None:
    lost = sum(max(each - handled, 0) for handled, _ in counts)
    twice = sum(max(handled - each, 0) for handled, _ in counts)
    wrong = sum(wrong for _, wrong in counts)
    print(f"  {what}: {lost} lost, {twice} twice, {wrong} out of order, {len(dead)} dead letters")
    if lost or twice or wrong or dead:
        sys.exit("not exact")


def stream(messages: int, rounds: int) -> None:
    """Stream messages; print messages a second."""
    keys = [f"key-{number}" for number in range(min(10_000, messages // SENDERS))]
    rates = collections.defaultdict[str, list[float]](list)
    with _cluster() as client:
        for _ in range(rounds):
            rates["cluster"].append(_stream_cluster(client, messages, keys))
            rates["pipe"].append(_stream_pipe(messages, keys, many=False))
            rates["pipe, 1000 at a time"].append(_stream_pipe(messages, keys, many=True))
    for name, found in rates.items():
        ratios = [mine / other for mine, other in zip(rates["cluster"], found, strict=True)]
        print(
            f"  {name}: {statistics.median(found):,.0f} messages/s;"
            f" the cluster {statistics.median(ratios):.2f} of it"
        )


def _even_keys(addresses: Iterable[str], count: int) -> list[str]:
    """Return keys of which each Dask worker is dealt as many, in turn."""
    nodes = sorted(addresses)
    each: dict[str, list[str]] = {node: [] for node in nodes}
    for number in itertools.count():
        key = f"key-{number}"
        own = each[owner_of(digest_of(key), nodes)]
        if len(own) < count // len(nodes):
            own.append(key)
        elif all(len(keys) == count // len(nodes) for keys in each.values()):
            break
    return [key for keys in zip(*each.values(), strict=True) for key in keys]


def _cpu_seconds(processes: list[psutil.Process]) -> list[float]:
    return [times.user + times.system for times in (each.cpu_times() for each in processes)]


def cpu(messages: int, rounds: int, steps: int) -> None:
    """Have handlers compute; print messages a second."""
    ratios = []
    with _cluster() as client:
        pids = client.run(os.getpid)
        keys = _even_keys(pids, 1000)
        processes = [psutil.Process(pid) for pid in (os.getpid(), *pids.values())]
        for _ in range(rounds):
            with ClusterPool(computing, client) as pool:
                before = _cpu_seconds(processes)
                start = time.perf_counter()
                for number in range(messages):
                    pool.dispatch(keys[number % len(keys)], steps)
                pool.flush()
                mine = time.perf_counter() - start
                spent = [
                    1e6 * (now - then) / messages
                    for now, then in zip(_cpu_seconds(processes), before, strict=True)
                ]
            with _processes(2, computing, keys[:1]) as pipes:
                start = time.perf_counter()
                batches: list[list[tuple[str, int]]] = [[], []]
                for number in range(messages):
                    to = number % 2
                    batches[to].append((keys[number % len(keys)], steps))
                    if len(batches[to]) == BATCH:
                        pipes[to].send(batches[to])
                        batches[to] = []
                for pipe, batch in zip(pipes, batches, strict=True):
                    pipe.send(batch)
                    pipe.send(END)
                for pipe in pipes:
                    pipe.recv()
                by_hand = time.perf_counter() - start
            ratios.append(by_hand / mine)
            print(
                f"  cluster {messages / mine:,.0f}/s, by hand {messages / by_hand:,.0f}/s;"
                f" CPU for a message: client and scheduler {spent[0]:.1f} µs,"
                f" nodes {' and '.join(f'{each:.1f}' for each in spent[1:])} µs"
            )
    print(f"  the cluster {statistics.median(ratios):.2f} of two processes by hand")


def logging(path: str, key: str) -> Generator[None, Any]:
    """Append what comes to a file, which outlives the process."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        while True:
            message = yield
            if isinstance(message, mb.Call):
                message.reply_box.reply((0, 0))
            else:
                os.write(file, f"{key} {message}\n".encode())
    finally:
        os.close(file)


def _own_worker(scheduler: str) -> "subprocess.Popen[bytes]":
    """Start a Dask worker without a nanny, which gives up on one that is killed as it starts."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", scheduler]
    options = ["--no-nanny", "--nthreads", "1", "--no-dashboard"]
    return subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL)  # noqa: S603 - this interpreter


@contextlib.contextmanager
def _own_workers(scheduler: str) -> Iterator[list["subprocess.Popen[bytes]"]]:
    workers = [_own_worker(scheduler) for _ in range(NODES)]
    yield workers
    for worker in workers:
        worker.terminate()
        worker.wait()


def kill(messages: int, kills: int) -> None:  # noqa: C901 - one step after the other
    """Kill Dask workers in the middle; count what became of each message and call."""
    for redeliver in (False, True):
        with (
            LocalCluster(n_workers=0, dashboard_address=":0") as cluster,
            Client(cluster) as client,
            _own_workers(cluster.scheduler_address) as workers,
            tempfile.NamedTemporaryFile("r") as log,
        ):
            client.wait_for_workers(NODES, timeout=120)
            dead: list[mb.DeadLetter[str, int]] = []
            worker = functools.partial(logging, log.name)
            replies: list[mb.Reply[tuple[int, int]]] = []
            killed = 0
            keys = [f"key-{number}" for number in range(100)]
            sent = dict.fromkeys(keys, 0)
            done = threading.Event()
            # How often each key may be sent to: the sender would send millions as processes start.
            allowed = [0]
            with ClusterPool(
                worker, client, on_dead_letter=dead.append, redeliver=redeliver
            ) as pool:

                def send() -> None:
                    while not done.is_set() or sent[keys[0]] < messages // len(keys):  # noqa: B023 - of this round
                        while sent[keys[0]] >= allowed[0] and not done.is_set():  # noqa: B023
                            time.sleep(0.001)
                        for key in keys:  # noqa: B023
                            pool.dispatch(key, sent[key])  # noqa: B023
                            sent[key] += 1  # noqa: B023
                        replies.append(mb.ask(pool.ref(keys[0]), GetCounts()))  # noqa: B023

                sender = threading.Thread(target=send)
                sender.start()
                while killed < kills:
                    while f"[{NODES} nodes" not in repr(pool):
                        time.sleep(0.01)
                    before = sent[keys[0]]
                    allowed[0] = before + 100
                    while sent[keys[0]] < before + 20:
                        time.sleep(0.01)
                    process = workers.pop(0)
                    process.kill()
                    process.wait()
                    killed += 1
                    while f"[{NODES} nodes" in repr(pool):
                        time.sleep(0.01)
                    workers.append(_own_worker(cluster.scheduler_address))
                done.set()
                sender.join()
            handled = collections.Counter(tuple(line.split()) for line in log.read().splitlines())
            gone = collections.Counter(
                (each.key, str(each.message)) for each in dead if isinstance(each.message, int)
            )
            every = {(key, str(number)) for key in keys for number in range(sent[key])}
            reasons = sorted({each.reason for each in dead})
            answered = sum(reply.done() for reply in replies)
            print(
                f"  redeliver={redeliver}: {killed} killed, {len(every):,} messages sent:"
                f" {len(handled):,} handled, {handled.total() - len(handled):,} of them again,"
                f" {sum(gone.values()):,} dead letters ({', '.join(reasons)}),"
                f" {len(every - handled.keys() - gone.keys())} neither;"
                f" {len(replies):,} calls, {len(replies) - answered} not answered"
            )
            if every - handled.keys() - gone.keys() or answered < len(replies):
                sys.exit("not exact")
            if redeliver and every - handled.keys():
                sys.exit("not handled at least once")


def join(messages: int) -> None:
    """Add a Dask worker in the middle."""
    keys = [f"key-{number}" for number in range(1000)]
    exits: list[mb.WorkerExit[str]] = []
    with tempfile.NamedTemporaryFile("r") as log, _local() as cluster, Client(cluster) as client:
        worker = functools.partial(logging, log.name)
        joined = threading.Event()
        rounds = 0
        with ClusterPool(worker, client, on_worker_exit=exits.append) as pool:
            adding = threading.Thread(target=lambda: (cluster.scale(3), joined.set()))
            while (
                rounds < messages // len(keys) or adding.is_alive() or "3 nodes" not in repr(pool)
            ):
                for key in keys:
                    pool.dispatch(key, rounds)
                rounds += 1
                if rounds == messages // len(keys) // 2:
                    adding.start()
            moved = pool.flush() and len(exits)
        got = collections.defaultdict[str, list[int]](list)
        for line in log.read().splitlines():
            key, number = line.split()
            got[key].append(int(number))
        wrong = sum(got[key] != list(range(rounds)) for key in keys)
        print(
            f"  {rounds * len(keys):,} messages, {moved} of {len(keys)} keys moved,"
            f" {wrong} keys with messages lost, twice or out of order"
        )
        if wrong:
            sys.exit("not exact")


def memory(minutes: float) -> None:
    """Send all the time, and look at the resident memory now and then."""
    keys = [f"key-{number}" for number in range(10_000)]
    here = psutil.Process()
    with _cluster() as client, ClusterPool(counting, client) as pool:
        workers = [psutil.Process(pid) for pid in client.run(os.getpid).values()]
        end = time.monotonic() + 60 * minutes
        look = time.monotonic()
        number = 0
        while time.monotonic() < end:
            for key in keys:
                pool.dispatch(key, (0, number))
            number += 1
            if time.monotonic() >= look:
                look += 60 * minutes / 10
                sizes = [process.memory_info().rss / 2**20 for process in (here, *workers)]
                text = ", ".join(f"{size:.0f}" for size in sizes)
                print(f"  {number * len(keys):>12,} messages: client and workers {text} MiB")
    left = [each.name for each in threading.enumerate() if each.name.startswith("cluster-")]
    print(f"  threads left: {left}")


def _local() -> LocalCluster:
    return LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", memory_limit=0
    )


@contextlib.contextmanager
def _cluster() -> Iterator[Client]:
    with _local() as cluster, Client(cluster) as client:
        yield client


def main() -> None:
    """Run the parts that are named, or all."""
    parts = ["stream", "cpu", "kill", "join", "memory"]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster")
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(parts))
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3000, help="of the loop in a handler of cpu")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    os.environ[NO_PROFILER] = "False"
    dask.config.set({"distributed.worker.profile.enabled": False})
    print(f"{sys.version}, GIL {'on' if sys._is_gil_enabled() else 'off'}")  # noqa: SLF001 - documented
    for part in options.parts or parts:
        print(part, flush=True)
        match part:
            case "stream":
                stream(options.messages, options.rounds)
            case "cpu":
                cpu(min(options.messages, 50_000), options.rounds, options.steps)
            case "kill":
                kill(min(options.messages, 100_000), options.kills)
            case "join":
                join(min(options.messages, 200_000))
            case "memory":
                memory(options.minutes)
            case _:
                parser.error(f"there is no part {part!r}")


if __name__ == "__main__":
    main()
