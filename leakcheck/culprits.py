"""On failure: what has grown, and the chain of references that holds it.

A chain leads from something that lives as long as the process (a module's variable, a class's
attribute, a frame that runs) to what was kept. objgraph looks for it, but where it begins is decided
here: 3.13t leaves functions, classes and modules out of what the garbage collector tells, so that
none is ever met there; so what they refer to is looked up beforehand, by name.
"""

import gc
import inspect
import shutil
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import objgraph

from leakcheck.readings import objects_of

_DEPTH: Final = 24
_NEW: Final = 2
"""Of a class that has grown, so many of its objects are followed to what holds them."""
_CONTAINERS: Final = (dict, list, set, deque)
_MOST: Final = 5
"""Containers that are told of."""


def roots() -> dict[int, str]:
    """Return what modules and classes refer to: the name by the id."""
    found: dict[int, str] = {}
    for module_name, module in list(sys.modules.items()):
        if module_name == __name__ or not isinstance(module, types.ModuleType):
            continue
        found[id(vars(module))] = f"variables of {module_name}"
        for name, value in list(vars(module).items()):
            found.setdefault(id(value), f"{module_name}.{name}")
            if isinstance(value, type) and value.__module__ == module_name:
                for attribute, held in list(vars(value).items()):
                    found.setdefault(id(held), f"{module_name}.{name}.{attribute}")
            if isinstance(value, types.FunctionType):
                for cell in value.__closure__ or ():
                    found.setdefault(id(cell), f"closure of {module_name}.{name}")
    return found


def chain_to(thing: object) -> tuple[list[object], str]:
    """Return the references from a root to `thing`, and what the root is called.

    The chain is `[thing]`, and the name empty, if none was found.
    """
    names = roots()
    frame = inspect.currentframe()

    def is_root(candidate: object) -> bool:
        if candidate is thing or candidate is frame:
            return False
        return id(candidate) in names or (
            isinstance(candidate, types.FrameType) and candidate.f_globals is not globals()
        )

    chain = objgraph.find_backref_chain(thing, is_root, max_depth=_DEPTH)
    first = chain[0]
    if len(chain) == 1:
        return chain, ""
    return chain, names.get(id(first)) or f"frame of {_where(first)}"


def _where(frame: object) -> str:
    code = getattr(frame, "f_code", None)
    return f"{code.co_qualname} ({code.co_filename})" if code is not None else repr(frame)


def tell(thing: object) -> str:
    """Return the chain as text, one line a reference."""
    chain, root = chain_to(thing)
    if not root:
        holders = gc.get_referrers(thing)
        kinds = sorted({_title(each) for each in holders if each is not chain})
        return f"no root found; held by {', '.join(kinds) or 'nothing that the collector sees'}"
    lines = [f"{root}: {_title(chain[0])}"]
    for holder, held in zip(chain, chain[1:], strict=False):
        lines.append(f"  {_edge(holder, held)} {_title(held)}")
    return "\n".join(lines)


def _title(thing: object) -> str:
    kind = type(thing)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{name}[{len(thing)}]" if isinstance(thing, _CONTAINERS) else name


def _edge(holder: object, held: object) -> str:
    """Return how one object refers to another, as well as that can be seen."""
    if isinstance(holder, dict):
        for key, value in list(holder.items()):
            if value is held:
                return f"[{key!r:.60}]" if isinstance(key, str | int | tuple) else "[…]"
            if key is held:
                return "key"
    if isinstance(holder, list | tuple | deque):
        return next((f"[{n}]" for n, each in enumerate(list(holder)) if each is held), "in")
    if isinstance(holder, types.FrameType):
        return "local"
    for kind in type(holder).__mro__:
        for name in getattr(kind, "__slots__", ()):
            slot = vars(kind).get(name) or vars(kind).get(f"_{kind.__name__.lstrip('_')}{name}")
            try:
                if slot is not None and slot.__get__(holder, kind) is held:
                    return f".{name}"
            except AttributeError:
                continue
    for name, value in getattr(holder, "__dict__", {}).items():
        if value is held:
            return f".{name}"
    return "→"


def draw(thing: object, path: Path) -> list[Path]:
    """Write the chain as a graph: in graphviz's language, and as SVG where `dot` is there."""
    chain, _ = chain_to(thing)
    dot = path.with_suffix(".dot")
    with dot.open("w", encoding="utf-8") as file:
        objgraph.show_chain(chain, output=file)
    written = [dot]
    if shutil.which("dot"):
        objgraph.show_chain(chain, filename=str(path.with_suffix(".svg")))
        written.append(path.with_suffix(".svg"))
    return written


def of_classes(names: Iterable[str], path: Path) -> list[str]:
    """Return, for each class that has grown, what holds its newest objects."""
    texts = []
    for name in names:
        things = objects_of(name)[-_NEW:]
        chains = dict.fromkeys(tell(each) for each in things)
        texts += [f"{name} is held by\n{chain}" for chain in chains]
        if things:
            texts[-1] += _drawn(things[-1], path.with_name(f"{path.name}-{name.rpartition('.')[2]}"))
    return texts


def of_containers(work: Callable[[], object], path: Path) -> list[str]:
    """Do some more work, and return which containers have more in them after it."""
    gc.collect()
    before = {id(each): len(each) for each in _containers()}
    work()
    gc.collect()
    gc.collect()
    grown = [
        each for each in _containers() if len(each) > before.get(id(each), len(each)) and each is not before
    ]
    grown.sort(key=lambda each: before[id(each)] - len(each))
    texts = []
    for number, each in enumerate(grown[:_MOST], 1):
        texts.append(
            f"{_title(each)} had {before[id(each)]} entries before some more rounds; it is held by\n"
            f"{tell(each)}"
        )
        if number == 1:
            texts[-1] += _drawn(each, path.with_name(f"{path.name}-container"))
    return texts or ["no container has grown"]


def _containers() -> list[dict[object, object] | list[object] | set[object] | deque[object]]:
    return [each for each in gc.get_objects() if isinstance(each, _CONTAINERS)]


def _drawn(thing: object, path: Path) -> str:
    return "".join(f"\n  graph: {each.name}" for each in draw(thing, path))
