#!/usr/bin/env bash
# CPython 3.14.7 (cloudpickle 3.1.3, diskcache 5.6.3, dask 2026.8.0): keys that are equal, and whose parts
# are plain strings, have different pickles; the same program's key has another on a build with a GIL.
#
# Expected: strings, tuples of strings and frozen dataclasses pickle by value, so that equal ones have
# equal pickles: good enough for a digest, a cache or a partition by key.
#
# What happens: pickle keeps a memo by *identity*. A tuple whose two parts are one object, as two literals
# of a function are, has the second as a reference to the first; a tuple whose parts are two equal objects,
# as of a decoder, a `split` or a join, has the string twice. All protocols do so, and so does cloudpickle.
# In a dataclass the names of the fields take part: a value that is equal to a field's name is a reference
# to it or not. Numbers, and one string alone, are safe. The documentation of pickle tells of the memo, and
# not of what follows for equal objects.
#
# It crosses two things. diskcache looks keys up by their pickle ("the bytes representation will define
# equality"): the entry is not found, and a second one is made. And builds without a GIL intern all strings
# of the source (`should_intern_string` in Objects/codeobject.c), those with one only such as look like
# names: a constant of one module with an equal one of another is one object there, and two here.
# `dask.tokenize.tokenize` goes by value: its digests are equal.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14t)
with_gil=$(tools/python 3.14)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check cloudpickle==3.1.3 diskcache==5.6.3 \
    dask==2026.8.0 click==8.5.1 fsspec==2026.9.0 locket==1.0.0 packaging==26.4 partd==1.4.2 \
    pyyaml==6.0.4 toolz==1.2.0

cat > "$folder/program.py" <<'PROGRAM'
import importlib.metadata
import json
import pickle
import sys
import tempfile
from dataclasses import dataclass

import cloudpickle
import diskcache
from dask.tokenize import tokenize


@dataclass(frozen=True)
class Route:
    origin: str
    target: str


def decoded(text):
    return tuple(json.loads(text))


def pickled(dumps, protocol):
    return lambda key: dumps(key, protocol=protocol)


versions = {name: importlib.metadata.version(name) for name in ("cloudpickle", "diskcache", "dask")}
print("Python", sys.version.split()[0], versions)
pairs = {
    "two strings": (("eu-1", "eu-1"), decoded('["eu-1", "eu-1"]')),
    "two tuples": ((("eu", 1),) * 2, tuple(map(tuple, json.loads('[["eu", 1], ["eu", 1]]')))),
    "dataclass": (Route("eu-1", "eu-1"), Route(*decoded('["eu-1", "eu-1"]'))),
    "a field's name": (Route("origin", "eu-1"), Route(*decoded('["origin", "eu-1"]'))),
    "two numbers": ((10**20, 10**20), decoded(f"[{10**20}, {10**20}]")),
    "one string": ("eu-1", *decoded('["eu-1"]')),
}
ways = {
    **{f"pickle {protocol}": pickled(pickle.dumps, protocol) for protocol in range(2, 6)},
    "cloudpickle": cloudpickle.dumps,
    "tokenize": tokenize,
}
found = {}
for what, (literal, read) in pairs.items():
    assert literal == read
    assert hash(literal) == hash(read)
    found[what] = [name for name, way in ways.items() if way(literal) == way(read)]
    print(f"{what:14}: equal, and so say", ", ".join(found[what]))

literal, read = pairs["two strings"]
with tempfile.TemporaryDirectory() as place, diskcache.Cache(place) as cache:
    cache[literal] = "set"
    hit = cache.get(read)
    cache[read] = "set again"
    entries = len(cache)
print(f"diskcache: the value of the equal key is {hit}; set it, and there are {entries} entries")

apart = [["tokenize"]] * 4 + [[*ways]] * 2
as_found = list(found.values()) == apart and hit is None and entries == 2
sys.exit(not as_found)
PROGRAM
status=0
"$folder/venv/bin/python" "$folder/program.py" || status=1

echo 'REGION = "eu-west/1"' | tee "$folder/orders.py" > "$folder/stock.py"
route='import orders, pickle, stock, sys
print(pickle.dumps((orders.REGION, stock.REGION)).hex())'
for each in "$python" "$with_gil"; do
    (cd "$folder" && PYTHONPATH=. "$each" -c "$route")
done > "$folder/pickles"
echo "(orders.REGION, stock.REGION), both \"eu-west/1\": without a GIL, with one:"
cat "$folder/pickles"
if [[ $status == 0 && $(sort -u "$folder/pickles" | wc -l) == 2 ]]; then
    echo "as described"
else
    echo "CHANGED"
    exit 1
fi
