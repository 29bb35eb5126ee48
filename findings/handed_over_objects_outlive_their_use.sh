#!/usr/bin/env bash
# CPython 3.14.7t: what one thread has made and another has dropped stays in memory while its maker waits.
#
# Expected: no reference is left and there is no cycle, so the object is freed at once. The documentation
# (howto/free-threading-python) says that freeing "can be deferred" until the interpreter loop's next
# check of its flags: that sounds like microseconds, in the thread that has dropped the object.
#
# What happens: it is the *maker's* interpreter loop that counts (`_Py_brc_queue_object` in Python/brc.c).
# A thread that waits for a lock, a queue or a socket runs none. A hundred messages of a mebibyte, put
# into a queue, taken out and dropped, are all there while the thread that put them waits for the last to
# be handled. A result that was read and dropped is kept by the idle thread of a ThreadPoolExecutor until
# that thread has a next task. `gc.collect()` in any thread frees both. So it is, too, where the GIL is on
# again (`-X gil=1`, or an extension that is not prepared); builds with a GIL free at once.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/program.py" <<'PROGRAM'
import gc
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

MEBIBYTE = 1 << 20
COUNT = 100


def traced():
    return tracemalloc.get_traced_memory()[0] // MEBIBYTE


def messages(collect):
    """Return the memory when all is handled and the sender still waits, and when it has waited."""
    queue, sent, handled, seen = SimpleQueue(), threading.Event(), threading.Event(), []

    def consume():
        sent.wait()
        time.sleep(1)  # the sender waits by now
        for _ in range(COUNT):
            queue.get()
        if collect:
            gc.collect()
        seen.append(traced())
        handled.set()

    consumer = threading.Thread(target=consume)
    consumer.start()
    for _ in range(COUNT):
        queue.put(bytearray(MEBIBYTE))
    sent.set()
    handled.wait()
    consumer.join()
    return [*seen, traced()]


def result(wake):
    """Return the memory when a result was dropped and the pool is idle, and when `wake` was called."""
    with ThreadPoolExecutor(1) as pool:
        buffer = pool.submit(bytearray, COUNT * MEBIBYTE).result()
        time.sleep(1)  # the pool is idle by now
        del buffer
        dropped = traced()
        wake(pool)
        time.sleep(1)
        return [dropped, traced()]


print("Python", sys.version.split()[0], "with the GIL on" if sys._is_gil_enabled() else "without a GIL")
tracemalloc.start()
found = {
    "messages handled, the sender waits; and after": messages(collect=False),
    "the same, the consumer calls gc.collect()": messages(collect=True),
    "a result dropped, the pool idle; and after a task": result(lambda pool: pool.submit(int).result()),
    "the same, and after gc.collect()": result(lambda pool: gc.collect()),
}
for what, seen in found.items():
    print(f"{what:50}: {seen} MiB")

as_found = list(found.values()) == [[COUNT, 0], [0, 0], [COUNT, 0], [COUNT, 0]]
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
"$python" "$folder/program.py"
"$python" -X gil=1 "$folder/program.py"
