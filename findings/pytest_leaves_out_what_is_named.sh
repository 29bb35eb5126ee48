#!/usr/bin/env bash
# pytest 9.2.0 and 8.4.2: `pytest tests/slow tests` runs a part of what it names, and which part depends on the version.
#
# Expected: arguments are what is collected. `norecursedirs` holds for directories that pytest comes to by itself; one
# that is named is collected: so `pytest tests/slow` runs it. The usual way to run all is to name both.
#
# What happens: 9 leaves out an argument that lies inside another one, as that one has it already. It does
# not, where `norecursedirs` keeps pytest from going there: `tests/slow` is not run, and nothing is said. Naming the
# very file changes nothing, nor does the order. 8.4 is the other way round: it runs `tests/slow`, and nothing else
# of `tests`. Each says that all has passed.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(tools/python 3.14)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 9.2.0 8.4.2; do
    "$python" -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check \
        pytest==$version iniconfig==2.3.1 packaging==26.4 pluggy==1.7.0 pygments==2.21.0
done

mkdir -p "$folder/project/tests/slow"
cd "$folder/project"
printf '[pytest]\nnorecursedirs = slow\n' > pytest.ini
printf 'def test_quick():\n    pass\n' > tests/test_quick.py
printf 'def test_slow():\n    pass\n' > tests/slow/test_slow.py

as_found=true
check() {  # version, what is found, arguments
    local ran
    ran=$("$folder/$1/bin/python" -m pytest -p no:cacheprovider --verbose "${@:3}" |
        grep -o '[a-z_]* PASSED' | sed 's/ PASSED//' | sort | paste -sd+)
    echo "pytest $1: pytest ${*:3} ran $ran"
    [ "$ran" = "$2" ] || as_found=false
}
for version in 9.2.0 8.4.2; do
    check $version test_quick tests
    check $version test_slow tests/slow
done
for arguments in "tests/slow tests" "tests tests/slow" "tests/slow/test_slow.py tests"; do
    # shellcheck disable=SC2086 # two words
    check 9.2.0 test_quick $arguments
    # shellcheck disable=SC2086
    check 8.4.2 test_slow $arguments
done

if $as_found; then echo "as described"; else echo "CHANGED"; exit 1; fi
