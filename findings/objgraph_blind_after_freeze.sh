#!/usr/bin/env bash
# objgraph 3.7.0 on CPython 3.14t: once a process has called `gc.freeze()`, as servers do before they
# fork, a leaked object seems to be held by nobody.
#
# Expected: `gc.freeze()` is about collections. A cache of a module that keeps objects alive is found
# as before: `objgraph.find_backref_chain` leads from the module to the object.
#
# What happens: `gc.get_objects` and `gc.get_referrers` pass over what is frozen, on builds with and
# without a GIL. The cache itself is frozen, so an object that it has taken since is counted, and the
# chain to it is the object alone: it looks as if native code had lost a reference. What was there
# before the freeze is not even counted. `gc.unfreeze()` brings all of it back.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check objgraph==3.7.0

cat > "$folder/program.py" <<'PROGRAM'
import gc

import objgraph


class Row:
    pass


CACHE = []


def look(when):
    count = objgraph.count("Row")
    chain = objgraph.find_backref_chain(CACHE[-1], objgraph.is_proper_module)
    print(f"{when}: {count} counted, held by {' > '.join(type(each).__name__ for each in chain[:-1]) or 'nobody'}")


CACHE.append(Row())
look("before")
gc.freeze()
CACHE.append(Row())
look("frozen")
gc.unfreeze()
look("unfrozen")
PROGRAM

"$folder/venv/bin/python" -V
told=$("$folder/venv/bin/python" "$folder/program.py")
echo "$told"
if [[ $told == "before: 1 counted, held by module > dict > list
frozen: 1 counted, held by nobody
unfrozen: 2 counted, held by module > dict > list" ]]; then
    echo "as described"
else
    echo "CHANGED"
    exit 1
fi
