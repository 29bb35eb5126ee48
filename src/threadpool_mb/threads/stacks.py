"""Where a thread is, as text.

`faulthandler` reads it, which stops all threads for as long as it takes; of a hundred threads at
most. Of more, and where there is no place for its file, `sys._current_frames` has the rest. Not on
3.13t: to look at the frames of a thread that runs can crash the interpreter there, as CPython's
howto on free threading says.
"""

import itertools
import re
import sys
import sysconfig
import tempfile
import threading
from pathlib import Path
from typing import Final

__all__ = ["stack_of"]

_HEAD: Final = re.compile(r"^(?:Current thread|Thread) 0x([0-9a-f]+)")
_OURS: Final = (f'  File "{Path(__file__).parent.parent}', f'  File "{threading.__file__}"')
"""How the lines begin of calls of this library, and of those by which a thread begins."""
_NOT_SHOWN: Final = (
    "  (not shown: on 3.13t a hundred threads are, and a temporary file is needed)\n"
)
_FRAMES_ARE_SAFE: Final = sys.version_info >= (3, 14) or not sysconfig.get_config_var(
    "Py_GIL_DISABLED"
)


def stack_of(ident: int) -> str:
    """Return the stack of the thread `ident`, the most recent call last; a line for each call.

    It begins with the first call that is not of this library.

    Blocks: some tenths of a millisecond, and all other threads as long as it reads them.
    """
    frames = _from_faulthandler(ident)
    if not frames and _FRAMES_ARE_SAFE:
        frames = _from_frames(ident)
    users = list(itertools.dropwhile(lambda frame: frame.startswith(_OURS), frames))
    return "".join(users or frames) or _NOT_SHOWN


def _from_faulthandler(ident: int) -> list[str]:
    """Return the lines that `faulthandler` writes of a thread; none if it is not among its."""
    try:
        import faulthandler  # noqa: PLC0415 - a subinterpreter cannot import it

        with tempfile.TemporaryFile() as file:
            faulthandler.dump_traceback(file, all_threads=True)
            file.seek(0)
            lines = file.read().decode(errors="replace").splitlines(keepends=True)
    except (OSError, ImportError):  # no descriptor is left, say, or no place to write to
        return []
    frames: list[str] = []
    found = False
    for line in lines:
        head = _HEAD.match(line)
        if head is not None:
            found = int(head[1], 16) == ident
        elif found and line.strip():
            frames.append(line)
    frames.reverse()
    return frames


def _from_frames(ident: int) -> list[str]:
    """Return the same from the frames of a thread; its locals are not looked at."""
    frames: list[str] = []
    # As its documentation has it.
    frame = sys._current_frames().get(ident)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        code = frame.f_code
        frames.append(f'  File "{code.co_filename}", line {frame.f_lineno} in {code.co_name}\n')
        frame = frame.f_back
    frames.reverse()
    return frames
