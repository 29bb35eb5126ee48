#!/usr/bin/env bash
# dask.distributed 2026.8.0 on CPython 3.14t: what was passed to an actor stays in memory after it has answered.
#
# Expected: once a call of an actor's method is answered, and its caller has dropped the argument and the
# future, the client has dropped the argument, too. So it is with `client.run`.
#
# What happens: the coroutine that makes the call, `run_actor_function_on_worker` in actor.py, is a function
# within a function that calls itself again, after a connection has failed. So it refers to itself, and to
# the arguments of the call, and they stay until the next garbage collection. That counts objects, and not
# their size: a free-threaded build collects once there are a quarter more objects than were left by the
# last time, and a call makes some ten. A hundred calls with 4 MiB each keep 400 MiB; with a GIL, fifty.
# What is large is better passed in an object that is emptied once the call has been answered.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check distributed==2026.8.0 dask==2026.8.0 \
    click==8.5.1 cloudpickle==3.1.3 fsspec==2026.9.0 jinja2==3.1.6 locket==1.0.0 markupsafe==3.0.4 \
    msgpack==1.2.4 packaging==26.4 partd==1.4.2 psutil==7.2.2 pyyaml==6.0.4 sortedcontainers==2.4.0 \
    tblib==3.2.2 toolz==1.2.0 tornado==6.6.1 zict==3.0.0

cat > "$folder/program.py" <<'PROGRAM'
import gc
import importlib.metadata
import sys
import weakref

import dask
from distributed import Client, LocalCluster

CALLS = 100
SIZE = 4 << 20


class Payload:
    def __init__(self):
        self.data = bytes(SIZE)


class Sink:
    def take(self, payload):
        return len(payload.data)


def take(payload):
    return len(payload.data)


def alive(call):
    """Call, one after the other, and wait for each answer; return what counts the arguments that are left."""
    payloads = []
    for _ in range(CALLS):
        payload = Payload()
        payloads.append(weakref.ref(payload))
        assert call(payload) == SIZE
        del payload
    return lambda: sum(each() is not None for each in payloads)


def main():
    print("Python", sys.version.split()[0], "distributed", importlib.metadata.version("distributed"))
    # It walks the frames of threads that run, and keeps what it has seen.
    dask.config.set({"distributed.worker.profile.enabled": False})
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, \
            Client(cluster) as client:
        sink = client.submit(Sink, actor=True, pure=False).result()
        gc.collect()
        run = alive(lambda payload: next(iter(client.run(take, payload).values())))
        left = run()
        print(f"client.run: of {CALLS} arguments of {SIZE >> 20} MiB, {left} are left")
        actor = alive(lambda payload: sink.take(payload).result())
        kept = actor()
        print(f"an actor's method: of {CALLS} arguments of {SIZE >> 20} MiB, {kept} are left")
        gc.collect()
        print(f"after gc.collect(): {actor()}")
        as_found = left <= 5 and kept >= CALLS // 2 and actor() == 0
        print("as described" if as_found else "CHANGED")
        return not as_found


if __name__ == "__main__":
    sys.exit(main())
PROGRAM
cd "$folder"
TMPDIR="$folder" venv/bin/python -W ignore program.py  # dask keeps files of its workers there
