"""Makes the reports, all or some of them: `python -m reports [PART …] --gil PYTHON`.

Runs on 3.14t; PYTHON is a 3.14 with the GIL. `make reports` has both. The index tells of each part
what became of it; if one has failed, the exit status is 1.
"""

import argparse
import concurrent.futures
import datetime as dt
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from reports.page import index, took
from reports.parts import FREE, GIL, NEEDS, PARTS, Part, Step

OUTPUT: Final = Path(".reports")
_RECORD: Final = "part.json"
_WIDTH: Final = 100
"""So much of a command is printed as it runs; the log has all of it."""
_SAY_AGAIN: Final = 60.0
"""A step that runs says so at each so many seconds, with the last line that it has printed."""


def run(step: Step, pythons: dict[str, str], log: Path, name: str = "") -> str:
    """Run a step, what it prints into the log; return what is wrong, or nothing.

    `name` is what it is called when it is told that it runs still.
    """
    words = [pythons[step.on], *step.words] if step.on else list(step.words)
    with log.open("a") as file:
        file.write(f"$ {_shown(step)}\n")
        file.flush()
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | step.env,
            )
        except OSError as error:
            return f"{words[0]}: {error.strerror}"
        status = _end_of(process, log, name)
    return f"exit status {status} of {_shown(step)}" if status else ""


def _end_of(process: subprocess.Popen[bytes], log: Path, name: str) -> int:
    """Return a process' exit status; say now and then how far it is."""
    start = time.monotonic()
    try:
        while True:
            try:
                return process.wait(_SAY_AGAIN)
            except subprocess.TimeoutExpired:
                lines = log.read_text("utf-8", "replace").splitlines()
                seconds = time.monotonic() - start
                print(
                    f"  {name} runs for {seconds:.0f} s: {lines[-1].strip()[:_WIDTH]}", flush=True
                )
    finally:
        if process.poll() is None:  # interrupted: it goes with this one
            process.kill()
            process.wait()


def _timed(steps: Sequence[Step], number: int, pythons: dict[str, str], folder: Path) -> str:
    """Run one of several steps, and say so before and after it: some take a quarter of an hour."""
    name, shown = f"{number + 1}/{len(steps)}", _shown(steps[number])
    if len(shown) > _WIDTH:
        shown = f"{shown[: _WIDTH - 1]}…"
    print(f"  {name} {shown}", flush=True)
    start = time.monotonic()
    why = run(steps[number], pythons, _log(folder, number), name)
    print(f"  {name} took {time.monotonic() - start:.0f} s", flush=True)
    return why


def _log(folder: Path, number: int) -> Path:
    """Return where a step prints to while it runs."""
    return folder / f"log-{number + 1}.txt"


def _gather_logs(folder: Path, count: int) -> None:
    """Make one log of those of all steps, in their order."""
    logs = [_log(folder, number) for number in range(count)]
    text = "".join(log.read_text("utf-8", "replace") for log in logs if log.is_file())
    (folder / "log.txt").write_text(text, "utf-8")
    for log in logs:
        log.unlink(missing_ok=True)


def _shown(step: Step) -> str:
    env = [f"{name}={value}" for name, value in step.env.items()]
    return " ".join([*env, *([f"python{step.on}"] if step.on else []), shlex.join(step.words)])


def make(part: Part, out: Path, pythons: dict[str, str]) -> dict[str, Any]:
    """Make a part, its folder anew; return what is to be told of it.

    Its steps are all run: what one of them needs of another one it misses itself.
    """
    folder = out / part.name
    if part.name not in NEEDS:  # what it needs has put its data there
        shutil.rmtree(folder, ignore_errors=True)
    for needing, needed in NEEDS.items():
        if needed == part.name:
            shutil.rmtree(out / needing, ignore_errors=True)
            (out / needing).mkdir(parents=True)
    folder.mkdir(parents=True, exist_ok=True)
    when, start, on_cores = dt.datetime.now(dt.UTC), time.monotonic(), _on_cores()
    steps = part.steps(folder)
    executor = concurrent.futures.ThreadPoolExecutor(part.at_once)
    try:
        whys = list(
            executor.map(lambda number: _timed(steps, number, pythons, folder), range(len(steps)))
        )
    finally:
        executor.shutdown(cancel_futures=True)  # after Ctrl-C, no step begins
    failed = [why for why in whys if why]
    _gather_logs(folder, len(steps))
    failed += [f"{path} is not there" for _, path in part.links if not (folder / path).is_file()]
    told = {
        "when": f"{when:%Y-%m-%d %H:%M} UTC",
        "seconds": time.monotonic() - start,
        "on_cores": _on_cores() - on_cores,
        "interpreters": " and ".join(sorted({_version(pythons[s.on]) for s in steps if s.on})),
        "commands": [_shown(step) for step in steps],
        "failed": failed,
    }
    (folder / _RECORD).write_text(json.dumps(told), "utf-8")
    return told


def _on_cores() -> float:
    """Return the processor time of all commands so far, in seconds; no wait for a core is in it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _version(python: str) -> str:
    """Return what an interpreter says that it is."""
    ask = "import sys; print(sys.version)"
    done = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True)
    return " ".join(done.stdout.split())


def tell(out: Path) -> None:
    """Write the index, of all parts that were ever made here."""
    parts = []
    for part in PARTS:
        record = out / part.name / _RECORD
        made = json.loads(record.read_text("utf-8")) if record.is_file() else {}
        links = [
            (text, f"{part.name}/{path}")
            for text, path in part.links
            if (out / part.name / path).is_file()
        ]
        parts.append(
            {"name": part.name, "title": part.title, "about": part.about, "links": links, **made}
        )
    (out / "index.html").write_text(index(parts), "utf-8")


def main(words: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(prog="python -m reports", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(names)} (all)")
    parser.add_argument("--gil", default=f"python{GIL}", metavar="PYTHON", help="with the GIL")
    parser.add_argument("--out", type=Path, default=OUTPUT, metavar="DIR", help=f"({OUTPUT})")
    arguments = parser.parse_args(words)
    if unknown := set(arguments.parts) - set(names):
        parser.error(f"no such part: {', '.join(sorted(unknown))} (there are: {', '.join(names)})")
    asked = set(arguments.parts or names)
    asked |= {needed for part, needed in NEEDS.items() if part in asked}
    pythons = {FREE: sys.executable, GIL: arguments.gil}
    status = 0
    chosen = [part for part in PARTS if part.name in asked]
    for now, part in enumerate(chosen, 1):
        logs = arguments.out / part.name / "log-*.txt"
        print(f"{part.name} ({now} of {len(chosen)}): {part.title}; see {logs}", flush=True)
        told = make(part, arguments.out, pythons)
        tell(arguments.out)
        for why in told["failed"]:
            print(f"  FAILED: {why}", flush=True)
        print(f"  {part.name}: made {took(told)}", flush=True)
        status |= bool(told["failed"])
    print(f"see {arguments.out / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
