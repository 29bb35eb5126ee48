#!/usr/bin/env bash
# TonIO 0.10.5 on CPython 3.14t: a task that nobody waits for raises, and nobody hears of it, with
# `python -X dev` neither. Who sends to it is told that its channel is closed.
#
# Expected, from asyncio: "Task exception was never retrieved" in the log. One looks there first.
#
# What happens: `spawn.without_tracking` drops what the task has raised; nothing is printed or logged.
# What waits in the task's channel is gone with it. The next send raises BrokenPipeError("Channel
# closed"), as if somebody had closed it; the ValueError that was the cause cannot be found.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tonio==0.10.5

cat > "$folder/program.py" <<'PROGRAM'
import gc
import importlib.metadata
import sys

import tonio.colored as tonio
import tonio.colored.sync.channel as channel

seen = []


async def actor(receiver):
    while True:
        message = await receiver.receive()
        seen.append(message)
        if message == 2:
            raise ValueError("the actor's")


async def main():
    sender, receiver = channel.unbounded()
    tonio.spawn.without_tracking(actor(receiver))
    del receiver
    for message in range(1, 5):
        sender.send(message)
    while len(seen) < 2:
        await tonio.sleep(0.01)
    await tonio.sleep(0.1)
    gc.collect()
    errors = []
    for message in range(5, 7):
        try:
            sender.send(message)
        except Exception as error:
            errors.append(error)
    await tonio.sleep(0.1)
    return errors


print("Python", sys.version.split()[0], "TonIO", importlib.metadata.version("tonio"))
errors = tonio.runtime(threads=2).run_until_complete(main())
print("handled:", seen, "errors of later sends:", errors)
sys.exit(seen != [1, 2] or [str(error) for error in errors] != ["Channel closed"] * 2)
PROGRAM
status=0
"$folder/venv/bin/python" -X dev -W ignore "$folder/program.py" 2> "$folder/errors" || status=$?
cat "$folder/errors"
if [[ $status == 0 ]] && ! grep -q "the actor's" "$folder/errors"; then
    echo "as described"
else
    echo "CHANGED"
    exit 1
fi
