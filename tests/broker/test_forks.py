"""What a child of `os.fork` can do with a broker of its parent's."""

import pytest

from tests.forks import run

pytestmark = pytest.mark.runs_once

BROKERS = """
def demultiplex(message):
    if isinstance(message, mb.Initialize):
        return message
    return mb.Dispatch("key", message)

def handle(key, message, resource):
    seen.append((os.getpid(), message))
    if isinstance(message, mb.Call):
        hold.wait()
        message.reply_box.reply("answer")

parent = os.getpid()
hold = threading.Event()
seen, cleaned, dead = [], [], []
config = mb.BrokerConfig(
    demultiplex, lambda *_: "resource", handle, lambda *_: cleaned.append(os.getpid())
)
def make(**more):
    return mb.Broker(config, on_dead_letter=dead.append, **more)
"""
THREADS = pytest.mark.parametrize("max_threads", [None, 2])


@THREADS
def test_a_broker_of_the_parents_refuses_everything_and_a_new_one_works(
    max_threads: int | None,
) -> None:
    lines = run(f"""
{BROKERS}
def child():
    told(broker.input.deliver, 1)
    told(target.deliver, 1)
    told(mb.call, target, Ask())
    told(mb.call, broker.input, Ask())
    told(reply.result)
    told(broker.join)
    report = broker.drain(timeout=None)
    print(report.finished, report.dead_letters, broker.exception(), repr(broker)[-26:])
    broker.close()
    broker.cancel()
    print(cleaned, dead)
    with make(max_threads={max_threads}) as new:
        new.input.deliver(mb.Initialize("key", "of the child"))
        print(new.drain(timeout=None).finished)
    print([message for pid, message in seen if pid != parent], cleaned == [os.getpid()])

with make(max_threads={max_threads}) as broker:
    target = broker.input
    target.deliver(mb.Initialize("key"))
    reply = mb.ask(target, Ask())
    target.deliver("waits")
    until(lambda: seen)
    print(in_child(child))
    hold.set()
    print(reply.result())
    print(broker.drain(timeout=None).finished)
print(cleaned == [parent], dead, seen[1:] == [(parent, "waits")])
""")

    assert lines == [
        *["MailboxClosed True"] * 2,
        *["CallNotDelivered True"] * 2,
        "WorkerGone True",
        "RuntimeError True",
        "False {} None  | made before os.fork()]>",
        "[] []",
        "True",
        "['of the child'] True",
        "0",
        "answer",
        "True",
        "True [] True",
    ]


@THREADS
@pytest.mark.parametrize("how", ["pass", "sys.exit()", "1 / 0"])
def test_a_child_leaves_the_block_of_the_parents_broker_at_once(
    how: str, max_threads: int | None
) -> None:
    lines = run(f"""
{BROKERS}
try:
    with make(max_threads={max_threads}) as broker:
        broker.input.deliver(mb.Initialize("key"))
        reply = mb.ask(broker.input, Ask())
        until(lambda: seen)
        pid = fork()
        if pid:
            print(status(pid))
            hold.set()
            broker.drain(timeout=None)
        else:
            {how}
except ZeroDivisionError:
    pass
if pid:
    print(cleaned == [parent])
""")

    assert lines == ["0", "True"]


def test_a_sender_that_waits_for_room_and_forks_in_a_signal_handler_is_refused_in_the_child() -> (
    None
):
    lines = run(f"""
{BROKERS}
def handler(*_):
    global pid
    if handled:
        return
    handled.append(None)
    pid = fork()
    if pid:
        print(status(pid))
        hold.set()

def interrupt():
    until(lambda: broker._loop.mailbox.stats().senders_waiting)
    until(lambda: signal.pthread_kill(main, signal.SIGUSR1) or handled)

handled = []
main = threading.get_ident()
signal.signal(signal.SIGUSR1, handler)
broker = make(mailbox=mb.Blocking(1))
broker.input.deliver(mb.Initialize("key"))
mb.ask(broker.input, Ask())
until(lambda: seen)
broker.input.deliver("fills it")
threading.Thread(target=interrupt).start()
try:
    broker.input.deliver("waits")
except mb.MailboxClosed:
    os._exit(0 if not pid else 1)
print(broker.drain(timeout=None).finished, len(seen))
""")

    assert lines == ["0", "True 3"]


@THREADS
@pytest.mark.parametrize(
    ("where", "then", "code"),
    [
        ("demultiplex", "sys.exit(3)", 3),
        ("create", "pass", 0),
        ("handle", "pass", 0),
        ("handle", "1 / 0", 0),
        ("handle", "sys.exit(3)", 3),
        ("clean", "pass", 0),
    ],
)
def test_a_child_that_one_of_the_four_functions_has_forked_ends_and_does_nothing_more(
    where: str, then: str, code: int, max_threads: int | None
) -> None:
    """Nor does it clean the parent's resources. With threads for keys the code is lost."""
    lines = run(f"""
import logging
logging.disable()
parent = os.getpid()
pids, hold, tickets = [], threading.Event(), itertools.count()
def forks(name, result):
    def function(*arguments):
        if os.getpid() != parent:
            print("the child calls", name, arguments)
        elif name == {where!r} and not next(tickets):
            hold.wait()
            pids.append(fork())
            if not pids[0]:
                {then}
        return result or arguments[0]
    return function

broker = mb.Broker(
    mb.BrokerConfig(
        forks("demultiplex", None),
        forks("create", "resource"),
        forks("handle", mb.RemoveResource()),
        forks("clean", "ignored"),
    ),
    max_threads={max_threads},
    on_dead_letter=lambda letter: os.getpid() == parent or print("the child's", letter),
)
for key in "abc":
    broker.input.deliver(mb.Initialize(key, key))
    broker.input.deliver(mb.Initialize(key, key))
hold.set()
until(lambda: pids)
print(status(pids[0]))
broker.drain(timeout=None)
""")

    # A task's SystemExit is its future's, as in a ThreadPoolExecutor.
    lost = max_threads is not None and where != "demultiplex"
    assert lines == [str(0 if lost else code)]


@pytest.mark.parametrize(
    ("waits", "when", "then"),
    [
        ("broker.drain(timeout=60).finished", "broker._loop.closing", "returned False"),
        ("broker.drain(timeout=None).finished", "broker._loop.closing", "returned False"),
        ("broker.join()", "ready", "RuntimeError True"),
        ("broker.__exit__(None, None, None)", "broker._loop.closing", "returned None"),
        ("mb.call(broker.input, Ask())", "len(broker._loop.mailbox)", "WorkerGone True"),
    ],
)
def test_a_thread_that_waits_for_a_broker_and_forks_in_a_signal_handler_goes_on_in_the_child(
    waits: str, when: str, then: str
) -> None:
    lines = run(f"""
{BROKERS}
def handler(*_):
    global pid
    if handled:
        return
    handled.append(None)
    pid = fork()
    if pid:
        print(status(pid))
        hold.set()
        broker.cancel()

def interrupt():
    until(lambda: {when})
    until(lambda: signal.pthread_kill(main, signal.SIGUSR1) or handled)

handled, ready = [], []
main = threading.get_ident()
signal.signal(signal.SIGUSR1, handler)
broker = make()
broker.input.deliver(mb.Initialize("key"))
mb.ask(broker.input, Ask())
until(lambda: seen)
threading.Thread(target=interrupt).start()
ready.append(None)
told(lambda: {waits})
if not pid:
    os._exit(0)
""")

    assert lines[:2] == [then, "0"]


def test_a_broker_with_a_mailbox_of_a_users_own_kind_takes_nothing_in_the_child() -> None:
    lines = run(f"""
{BROKERS}
from tests.broker.doubles import Intercepting
broker = make(mailbox=Intercepting())
broker.input.deliver(mb.Initialize("key", 1))
until(lambda: seen)

def child():
    told(broker.input.deliver, 1)
    told(mb.call, broker.input, Ask())
    told(broker.join)

print(in_child(child))
broker.drain(timeout=None)
""")

    assert lines == ["MailboxClosed True", "CallNotDelivered True", "RuntimeError True", "0"]


def test_a_broker_that_has_ended_has_ended_in_the_child_too() -> None:
    lines = run(f"""
{BROKERS}
with make() as broker:
    pass

def child():
    told(broker.input.deliver, 1)
    told(broker.join)
    print(broker.drain(timeout=None).finished, broker.exception() is not None)

print(in_child(child))
""")

    assert lines == ["MailboxClosed False", "returned None", "True False", "0"]
