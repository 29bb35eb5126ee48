#!/usr/bin/env bash
# redis-py 8.1.0: xreadgroup(block=6000) on a quiet stream raises TimeoutError, after a minute.
#
# Expected: "block: number of milliseconds to wait, if nothing already present": an empty list after
# six seconds, as there is one after four with block=4000; and with block=0 a wait without an end.
#
# What happens: redis-py has a socket timeout of 5 s where none is given (`socket_timeout` was None
# before version 8), and a blocking command does not lengthen it. The reply of a server that blocks for
# longer comes too late: the client closes the connection and sends the command again, ten times with
# growing pauses in between, then it raises. A consumer whose block is 5 s or more works as long as
# entries come often, and fails in the first quiet minute. `block` must be shorter than
# `socket_timeout`, or that be given. The server is Debian's redis-server 7.0.15; it needs to be on PATH.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v redis-server > /dev/null || { echo "needs redis-server: apt-get install redis-server" >&2; exit 1; }
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0

"$folder/venv/bin/python" - "$folder" <<'PROGRAM'
import importlib.metadata
import subprocess
import sys
import time

import redis

path = f"{sys.argv[1]}/socket"
server = subprocess.Popen(
    ["redis-server", "--port", "0", "--unixsocket", path, "--dir", sys.argv[1], "--save", ""],
    stdout=subprocess.DEVNULL,
)
try:
    client = redis.Redis(unix_socket_path=path)
    client.xgroup_create("stream", "group", mkstream=True)
    print("Python", sys.version.split()[0], "redis-py", importlib.metadata.version("redis"),
          "server", client.info("server")["redis_version"])

    def read(reader, block):
        start = time.monotonic()
        try:
            found = reader.xreadgroup("group", "consumer", {"stream": ">"}, block=block)
        except redis.TimeoutError as error:
            found = type(error).__name__
        seconds = time.monotonic() - start
        print(f"block={block}: {found!r} after {seconds:.0f} s")
        return found, seconds

    short, _ = read(client, 4000)
    long, seconds = read(client, 6000)
    print("with socket_timeout=10:")
    patient, in_time = read(redis.Redis(unix_socket_path=path, socket_timeout=10), 6000)
finally:
    server.terminate()
    server.wait()
as_found = not short and long == "TimeoutError" and seconds > 20 and not patient and in_time < 8
print("as described" if as_found else "CHANGED")
sys.exit(not as_found)
PROGRAM
