#!/usr/bin/env bash
# more-executors 2.11.4: `with_timeout` stops timing out when its `with` is left.
#
# Expected: "for any futures returned by this executor, if the future hasn't completed approximately
# within `timeout` seconds of its creation, an attempt will be made to cancel the future". At the end
# of `with` the executor waits for what is left: that is where a timeout is wanted.
#
# What happens: shutdown() first ends the thread that looks at the clock (`_job_loop_iter` in
# _impl/timeout.py returns as soon as the executor is shut down), then waits for the wrapped executor.
# From then on nothing is cancelled: tasks that wait for their turn, and are long over their time, run
# one after the other. The same futures are cancelled in time if one waits for them inside the `with`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check more-executors==2.11.4 six==1.17.0

"$folder/venv/bin/python" - <<'PROGRAM'
import importlib.metadata
import sys
import threading
import time
from concurrent.futures import wait

from more_executors import Executors

print("Python", sys.version.split()[0], "more-executors", importlib.metadata.version("more-executors"))


def cancelled(wait_inside):
    """Four tasks on one thread, 0.5 s for each; the first takes 2 s."""
    begun = threading.Event()

    def work():
        begun.set()
        time.sleep(2)

    with Executors.thread_pool(max_workers=1).with_timeout(0.5) as timed:
        futures = [timed.submit(work)]
        begun.wait()
        futures += [timed.submit(int) for _ in range(3)]
        if wait_inside:
            wait(futures)
    return [future.cancelled() for future in futures]


inside, left = cancelled(True), cancelled(False)
print("waited for inside `with`: cancelled", inside)
print("`with` left at once:      cancelled", left)

as_found = inside == [False, True, True, True] and left == [False] * 4
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
