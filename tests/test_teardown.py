"""What is still there when the interpreter has taken the modules apart says nothing."""

import pytest

from tests.forks import run

KEPT = {
    "an unanswered box": "mb.ask(unread.new_input(), Ask()), unread",
    "a box that a worker has kept": "mb.ask(pool.ref('a'), Ask()), boxes",
    "a box whose caller gave up": "told(mb.call, unread.new_input(), Ask(), timeout=0), unread",
    "a future": "full.try_receive(), full",
    "a future that nobody fills": "unread.try_receive(), unread",
    "a pool": "pool",
    "an executor": "executor, executor.submit_keyed('a', int), executor.for_key('a')",
    "a broker": "broker",
    "a mailbox with messages": "full, full.new_input()",
    "a server": "server",
}


WHERE = {
    # Its attributes go last, behind those of all modules of Python code.
    "in sys": """
        cycle.append(cycle)
        sys.kept = cycle
        del cycle, unread, full, pool, executor, broker, server, boxes
    """,
    # On 3.13t some of these outlive the modules, too.
    "in the program": "",
}


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("where", WHERE)
def test_nothing_is_said_of_what_outlives_the_modules(kept: str, where: str) -> None:
    lines = run(
        f"""
        boxes = []

        def worker(key, boxes=boxes):
            while True:
                boxes.append((yield))

        unread, full = mb.Unlimited().create(), mb.Blocking(2).create()
        full.new_input().deliver("message")
        pool = mb.Pool(worker)
        pool.initialize("a")
        executor = mb.KeyedExecutor()
        config = mb.BrokerConfig(
            demultiplex=lambda message: mb.Dispatch("a", message),
            create=lambda key, message: None,
            handle=lambda key, message, resource: None,
            clean=lambda key, resource: None,
        )
        broker = mb.Broker(config)
        class Server:
            def __init__(self, key):
                pass

            @mb.handles(Ask)
            def ask(self, command):
                return "answer"

        server = mb.Pool(mb.server(Server))

        cycle = [{KEPT[kept]}]
        {WHERE[where].strip()}
        print("the end")
        """,
        # What is dropped without being closed; a debug build of the interpreter shows it.
        "-W",
        "ignore::ResourceWarning",
    )

    assert lines[-1] == "the end"
