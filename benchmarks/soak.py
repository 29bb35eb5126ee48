"""Send very many messages through a pool, and check each key's sequence: `benchmarks.soak`.

Several producers dispatch to all keys, round after round. Each worker knows which message of which
producer has to come next; a message that is lost, doubled or out of order stops it, and is told. At
the end every worker has had exactly what was sent to its key.
"""

import argparse
import sys
import sysconfig
import threading
import time
from collections.abc import Generator
from typing import Final, final

import threadpool_mb as mb

PRODUCERS: Final = 2


@final
class Witness:
    """What the workers have had, and what went wrong."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.had: Final[dict[int, tuple[int, ...]]] = {}
        self.faults: Final[list[str]] = []

    def worker(self, key: int) -> Generator[None, int]:
        """Take each producer's messages, `number * PRODUCERS + producer`, in order of numbers."""
        expected = [0] * PRODUCERS
        running = False
        try:
            while True:
                message = yield
                if running:
                    self.faults.append(f"key {key} ran twice at once")
                running = True
                number, producer = divmod(message, PRODUCERS)
                if number != expected[producer]:
                    self.faults.append(
                        f"key {key}: message {number} of producer {producer} came where"
                        f" {expected[producer]} was due"
                    )
                    return
                expected[producer] = number + 1
                running = False
        finally:
            self.had[key] = tuple(expected)


def soak(messages: int, keys: int) -> tuple[int, float, list[str]]:
    """Send at least `messages` messages to `keys` keys.

    Returns:
        How many were sent, the seconds until all were handled, and what went wrong.
    """
    witness = Witness()
    rounds = -(-messages // (keys * PRODUCERS))
    lost: list[mb.DeadLetter[int, int]] = []
    start = time.perf_counter()
    with mb.Pool(witness.worker, on_dead_letter=lost.append) as pool:
        for key in range(keys):
            pool.initialize(key)

        def produce(producer: int) -> None:
            dispatch = pool.dispatch
            for number in range(rounds):
                message = number * PRODUCERS + producer
                for key in range(keys):
                    if not dispatch(key, message):
                        witness.faults.append(f"key {key} did not take message {number}")

        producers = [
            threading.Thread(target=produce, args=(producer,)) for producer in range(PRODUCERS)
        ]
        for thread in producers:
            thread.start()
        for thread in producers:
            thread.join()
    took = time.perf_counter() - start
    witness.faults.extend(f"dead letter: {letter}" for letter in lost[:10])
    wrong = [key for key in range(keys) if witness.had.get(key) != (rounds,) * PRODUCERS]
    if wrong:
        witness.faults.append(f"{len(wrong)} keys had too few or too many, {wrong[0]} among them")
    return rounds * keys * PRODUCERS, took, witness.faults


def main() -> int:
    """Soak as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000_000, help="100,000,000")
    parser.add_argument("--keys", type=int, default=100_000, help="100,000")
    arguments = parser.parse_args()

    build = f"{sys.version.split()[0]}{'t' * bool(sysconfig.get_config_var('Py_GIL_DISABLED'))}"
    sent, took, faults = soak(arguments.messages, arguments.keys)
    print(
        f"{build}: {sent:,} messages to {arguments.keys:,} keys in {took:.0f} s"
        f" ({sent / took / 1e6:.2f} million a second):"
        f" {'nothing lost, doubled, reordered' if not faults else f'{len(faults)} FAULTS'}"
    )
    for fault in faults[:20]:
        print(f"  {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
