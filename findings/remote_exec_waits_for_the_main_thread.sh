#!/usr/bin/env bash
# CPython 3.14.7t: `sys.remote_exec`, by which `python -m pdb -p PID` attaches, runs nothing in a process whose
# main thread waits for other threads, however busy these are; a signal that the process handles sets it free.
#
# Expected: "the code will be executed by the target process's main thread at the next available opportunity,
# similarly to how signals are handled" (documentation of `sys`). A signal's handler runs at once where the main
# thread waits for a queue, a lock or a thread: the wait is interrupted for it.
#
# What happens: nothing interrupts the wait. A program of the usual form, whose main thread starts workers and
# then waits for them, is the one that one wants to look into when it is stuck, and the one that does not answer.
# Any signal with a Python handler wakes the main thread, which then runs the script before it waits on.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/service.py" <<'PROGRAM'
import signal
import sys
import threading

signal.signal(signal.SIGUSR1, lambda *_: None)
rounds = 0
stop = threading.Event()


def work():
    global rounds
    while not stop.is_set():
        rounds += 1
        if rounds == 1000:
            print("at work", flush=True)


worker = threading.Thread(target=work, daemon=True)
worker.start()
worker.join()  # the main thread waits, and the worker computes
PROGRAM

cat > "$folder/attach.py" <<'PROGRAM'
import pathlib
import signal
import subprocess
import sys
import time

print("Python", sys.version.split()[0])
folder = pathlib.Path(sys.argv[1])
ran = folder / "ran"
script = folder / "script.py"
script.write_text(f"open({str(ran)!r}, 'w').close()\n")


def runs_within(seconds):
    """Return whether the script runs within so many seconds."""
    end = time.monotonic() + seconds
    while not ran.exists() and time.monotonic() < end:
        time.sleep(0.05)
    return ran.exists()


service = subprocess.Popen([sys.executable, folder / "service.py"], stdout=subprocess.PIPE, text=True)
try:
    assert service.stdout.readline() == "at work\n"
    time.sleep(2)  # by now the main thread waits
    sys.remote_exec(service.pid, script)
    alone = runs_within(5)
    service.send_signal(signal.SIGUSR1)
    with_signal = runs_within(30)
finally:
    service.kill()
    service.wait()
print(f"while the main thread waits for a busy worker: ran within 5 s: {alone}; after a signal: {with_signal}")
as_found = (alone, with_signal) == (False, True)
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
"$python" "$folder/attach.py" "$folder"
