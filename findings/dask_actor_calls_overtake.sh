#!/usr/bin/env bash
# dask.distributed 2026.8.0 on CPython 3.14t: an actor executes a client's second call before its first.
#
# Expected: one client, one actor, and "workers have only a single thread for actors" (docs/source/
# actors.rst): calls are executed in the order in which they are made, as Ray says of its actors. The
# page says nothing of order.
#
# What happens: each call of a method is a request of its own, over whichever connection of the client's
# pool is free (`wait_then_set_result` in actor.py). Arguments of more than `distributed.comm.offload`,
# 10 MiB, are serialised in another thread, and the call that was made next is sent meanwhile. On a
# client that has its connections open already this happens each time. Small calls overtake one another
# too, now and then, while connections are being opened: a few in a thousand, so that tests pass. Order
# is had by waiting for each result, or by numbering the calls and sorting them in the actor.
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
import importlib.metadata
import sys

from distributed import Client, LocalCluster

ROUNDS = 5


class Log:
    def __init__(self):
        self.seen = []

    def take(self, number, payload=b""):
        self.seen.append(number)

    def taken(self):
        return self.seen


def in_order(client, size, wait):
    """Call twice, the first time with a payload; return in how many rounds it was executed first."""
    count = 0
    for _ in range(ROUNDS):
        log = client.submit(Log, actor=True, pure=False).result()
        first = log.take(1, bytes(size))
        if wait:
            first.result()
        second = log.take(2)
        first.result(), second.result()
        count += log.taken().result() == [1, 2]
    return count


def main():
    print("Python", sys.version.split()[0], "distributed", importlib.metadata.version("distributed"))
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, \
            Client(cluster) as client:
        log = client.submit(Log, actor=True, pure=False).result()
        for call in [log.take(number) for number in range(1000)]:
            call.result()
        seen = log.taken().result()
        late = sum(one > other for one, other in zip(seen, seen[1:]))
        print(f"1,000 small calls, connections not open yet: {late} out of order (a race)")

        found = {size: in_order(client, size, wait=False) for size in (1 << 20, 20 << 20)}
        for size, count in found.items():
            print(f"{size >> 20:2} MiB, then a small call: in order {count} times of {ROUNDS}")
        waited = in_order(client, 20 << 20, wait=True)
        print(f"the same, the first's result waited for: in order {waited} times of {ROUNDS}")
        as_found = found[20 << 20] == 0 and found[1 << 20] > 0 and waited == ROUNDS
        print("as described" if as_found else "CHANGED")
        return not as_found


if __name__ == "__main__":
    sys.exit(main())
PROGRAM
cd "$folder"
TMPDIR="$folder" venv/bin/python -W ignore program.py  # dask keeps files of its workers there
