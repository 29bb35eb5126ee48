"""What is one thing cannot be made two: a copy would close, answer or receive the original's."""

import copy
import gc
import pickle
from collections.abc import Callable, Generator, Iterator

import pytest

import threadpool_mb as mb
from tests.helpers import DEADLINE

ONE: list[str] = [
    "Pool",
    "KeyInput",
    "PoolInput",
    "Broker",
    "KeyedExecutor",
    "KeyView",
    "KeyedFuture",
    "QueueMailbox",
    "QueueInput",
    "ClaimedMessage",
    "Reply",
    "ReplyFuture",
    "ReplyBox",
]
COPY: dict[str, Callable[[object], object]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "pickle 0": lambda each: pickle.dumps(each, protocol=0),
}


class Ask(mb.Command[int]):
    """Asks for a number."""


def worker(_: str) -> Generator[None, object]:
    while True:
        yield


@pytest.fixture
def made() -> Iterator[dict[str, object]]:
    """Return one of each, by the names of their classes."""
    mailbox: mb.Mailbox[mb.Call[int]] = mb.Unlimited().create()
    config: mb.BrokerConfig[object, object, object, int] = mb.BrokerConfig(
        demultiplex=lambda message: mb.Dispatch("key", message),
        create=lambda _key, _message: 1,
        handle=lambda _key, _message, _resource: None,
        clean=lambda _key, _resource: None,
    )
    with (
        mb.Pool(worker) as pool,
        mb.Broker(config) as broker,
        mb.Broker(config, max_threads=1) as parallel,
        mb.KeyedExecutor(1) as executor,
    ):
        pool.initialize("key")
        reply = mb.ask(mailbox.new_input(), Ask())
        box = mailbox.receive().reply_box
        each: list[object] = [
            pool,
            pool.ref("key"),
            pool.input,
            broker,
            parallel.input,
            executor,
            executor.for_key("key"),
            executor.submit(int),
            mailbox,
            mailbox.new_input(),
            mailbox.try_receive(),
            reply,
            reply.as_future(),
            box,
        ]
        yield {type(one).__name__: one for one in each}
        box.reply(1)


@pytest.mark.parametrize("how", COPY)
@pytest.mark.parametrize("name", ONE)
def test_what_is_one_thing_refuses_to_be_copied(
    made: dict[str, object], name: str, how: str
) -> None:
    with pytest.raises(TypeError, match=f"^cannot copy or pickle a {name}: pass it by reference$"):
        COPY[how](made[name])


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_a_refused_copy_leaves_the_original_as_it_was(
    made: dict[str, object], how: Callable[[object], object]
) -> None:
    for one in made.values():
        with pytest.raises(TypeError):
            how([one]) if how is copy.deepcopy else how(one)
    gc.collect()

    pool, executor, reply, box = (
        made[name] for name in ("Pool", "KeyedExecutor", "Reply", "ReplyBox")
    )
    assert isinstance(pool, mb.Pool)
    assert isinstance(executor, mb.KeyedExecutor)
    assert isinstance(reply, mb.Reply)
    assert isinstance(box, mb.ReplyBox)
    assert pool.dispatch("key", 1)
    assert executor.submit(int).result(DEADLINE) == 0
    assert not reply.done()
    assert not box.expired


def test_a_copy_of_a_call_has_the_same_reply_box() -> None:
    mailbox: mb.Mailbox[mb.Call[int]] = mb.Unlimited().create()
    reply = mb.ask(mailbox.new_input(), Ask())
    call = mailbox.receive()

    del mailbox
    copied = copy.copy(call)
    del call
    gc.collect()

    assert not reply.done()
    copied.reply_box.reply(3)
    assert reply.result() == 3
