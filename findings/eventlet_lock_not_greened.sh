#!/usr/bin/env bash
# eventlet 0.41.3 on CPython 3.14: "1 RLock(s) were not greened, to fix this error make sure you run
# eventlet.monkey_patch() before importing any other modules", in a program whose first line does.
#
# Expected: something was imported too early; one looks for it in vain.
#
# What happens: monkey_patch() looks for locks that are already there in the dicts, lists and
# attributes of all modules, and replaces them (`_upgrade_instances` in eventlet/patcher.py). 3.14's
# threading.py keeps its lock of the table of threads in one more place, the default argument of
# `_DeleteDummyThreadOnDel.__del__`, a tuple, which is not looked through. That one lock is counted as
# left. So the advice cannot be followed, and from then on the end of a dummy thread and the rest of
# threading.py guard the same table with two different locks. It has nothing to do with the GIL.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    eventlet==0.41.3 greenlet==3.5.6 dnspython==2.9.2

cat > "$folder/program.py" <<'PROGRAM'
import eventlet
eventlet.monkey_patch()
import importlib.metadata
import sys
import threading

kept = threading._DeleteDummyThreadOnDel.__del__.__defaults__[0]
print("Python", sys.version.split()[0], "eventlet", importlib.metadata.version("eventlet"))
print("threading's lock now:     ", type(threading._active_limbo_lock))
print("the one that a dummy takes:", type(kept))
sys.exit(kept is threading._active_limbo_lock)
PROGRAM
status=0
"$folder/venv/bin/python" -W ignore "$folder/program.py" 2> "$folder/errors" || status=$?
cat "$folder/errors"
if [[ $status == 0 ]] && grep -q "1 RLock(s) were not greened" "$folder/errors"; then
    echo "as described"
else
    echo "CHANGED"
    exit 1
fi
