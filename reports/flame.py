"""What perf has sampled, as flame graphs: `python -m reports.flame SECONDS FOLDER VIEWER.tgz`.

perf, since it is what sees free-threaded builds: each thread's samples on the core, of Python's
functions (`-X perf_jit`) and of C's. Of the samplers for Python, pyinstrument and yappi switch the
GIL on, and py-spy finds no interpreter in a free-threaded 3.14. The viewer is speedscope.
"""

import base64
import collections
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

PROGRAMS: Final = ("dispatch", "turn", "calls")
_RECORD: Final = ("perf", "record", "-q", "-F", "499", "--call-graph", "dwarf,16384", "-k", "mono")
_SCRIPT: Final = ("perf", "script", "--no-inline", "-F", "comm,tid,ip,sym", "-i")
_PAGE: Final = """\
<!doctype html>
<meta charset="utf-8">
<title>{name}</title>
<script>
const here = new URL(".", location.href);
location.replace("package/dist/release/index.html#view=left-heavy&title={name}&" + (
  here.protocol == "file:"
    ? "localProfilePath=" + here.pathname.slice(1) + "{name}.js"
    : "profileURL=" + encodeURIComponent(here.href + "{name}.folded")));
</script>
"""
_HEAD: Final = re.compile(r"(\S.*?)\s+(\d+)\s*$")
_FRAME: Final = re.compile(r"\s+[0-9a-f]+ (.*?)(?: \([^()]*\))?$")


def samples(script: str) -> Iterator[tuple[str, list[str]]]:
    """Yield of each sample the thread's name, and the frames, the outermost first."""
    for block in script.strip().split("\n\n"):
        head, *lines = block.splitlines()
        named = _HEAD.match(head)
        frames = [match[1] for line in lines if (match := _FRAME.match(line))]
        yield named[1] if named else head.strip(), frames[::-1]


def stack(frames: Sequence[str]) -> list[str]:
    """Return Python's frames, and below the innermost one what it calls in C.

    Between two of Python's stands the interpreter, which says nothing of the program.
    """
    ours = [number for number, frame in enumerate(frames) if frame.startswith("py::")]
    inner = frames[ours[-1] + 1 :] if ours else frames
    return [_named(frames[number]) for number in ours] + list(inner)


def _named(frame: str) -> str:
    """Return a function of Python with its file: `Pool.dispatch (pool/pool.py)`."""
    name, _, path = frame.removeprefix("py::").partition(":")
    short = path.rpartition("/threadpool_mb/")[2] if "/threadpool_mb/" in path else Path(path).name
    return f"{name} ({short})"


def folded(script: str, program: str) -> str:
    """Return the stacks of all threads and how often each was met, one on a line.

    Without those of the main thread outside of the program: importing, above all.
    """
    counts: collections.Counter[str] = collections.Counter()
    for thread, frames in samples(script):
        if thread != "python" or any(f"py::{program}:" in frame for frame in frames):
            counts[";".join([thread, *stack(frames)])] += 1
    return "".join(f"{line} {count}\n" for line, count in counts.most_common())


def _profile(program: str, seconds: str, folder: Path) -> str:
    """Run a program under perf, and return what `perf script` says."""
    data, named = folder / f"{program}.data", folder / f"{program}.jit.data"
    words = [sys.executable, "-X", "perf_jit", "-m", "reports.profiled", program, seconds]
    subprocess.run([*_RECORD, "-o", data, "--", *words], check=True)
    subprocess.run(["perf", "inject", "--jit", "-i", data, "-o", named], check=True)
    text = subprocess.run([*_SCRIPT, named], check=True, capture_output=True, text=True).stdout
    data.unlink()
    named.unlink()
    # Each of Python's functions is a file there while perf looks them up; CPython chose the folder.
    for number in set(re.findall(r"(?m)^python\s+(\d+)", text)):
        for path in Path("/tmp").glob(f"jit*-{number}[-.]*"):  # noqa: S108
            path.unlink()
    return text


def main(words: Sequence[str]) -> int:
    """Profile each program, and put its flame graph and the viewer into the folder."""
    seconds, folder, viewer = words[0], Path(words[1]), Path(words[2])
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(viewer) as tar:
        tar.extractall(folder, filter="data")
    for program in PROGRAMS:
        text = folded(_profile(program, seconds, folder), program)
        if " (profiled.py)" not in text:
            raise SystemExit(f"perf has not met {program}")
        (folder / f"{program}.folded").write_text(text, "utf-8")
        (folder / f"{program}.html").write_text(_PAGE.format(name=program), "utf-8")
        encoded = base64.b64encode(text.encode()).decode()
        (folder / f"{program}.js").write_text(
            f"speedscope.loadFileFromBase64('{program}', '{encoded}')\n", "utf-8"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
