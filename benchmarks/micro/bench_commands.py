"""One call, there and back: `pytest benchmarks/micro`."""

import dataclasses
from collections.abc import Generator, Iterator

import pykka
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import threadpool_mb as mb


@dataclasses.dataclass(frozen=True, slots=True)
class One(mb.Command[int]):
    """Asks for 1."""


def _generator(_key: str) -> Generator[None, mb.originals.Request]:
    while True:
        match (yield):
            case mb.Call(_, box):
                box.reply(1)


class _Server:
    def __init__(self, _key: str) -> None:
        pass

    @mb.handles(One)
    def one(self, _command: One) -> int:
        return 1


@pytest.fixture(params=["generator", "server"])
def target(request: pytest.FixtureRequest) -> Iterator[mb.Input[mb.originals.Request]]:
    """Return the input of an idle worker, whose pool runs calls on the main thread, too."""
    worker = _generator if request.param == "generator" else mb.server(_Server)
    pool: mb.Pool[str, mb.originals.Request]
    with mb.Pool(worker, inline_calls=True) as pool:
        pool.initialize("key")
        yield pool.ref("key")


@pytest.mark.benchmark(group="a call to an idle worker")
def bench_call(benchmark: BenchmarkFixture, target: mb.Input[mb.originals.Request]) -> None:
    """Handled on the caller's thread."""
    command = One()

    assert benchmark(lambda: mb.call(target, command)) == 1


class _Actor(pykka.ThreadingActor):
    def on_receive(self, _message: object) -> int:
        return 1


@pytest.mark.benchmark(group="a call to an idle worker")
def bench_pykka_ask(benchmark: BenchmarkFixture) -> None:
    """The peer."""
    actor = _Actor.start()
    try:
        assert benchmark(lambda: actor.ask("one")) == 1
    finally:
        actor.stop()
