"""On failure: what has grown, and the chain of references that holds it.

A chain leads from something that lives as long as the process (a module's variable, a class's
attribute, a frame that runs) to what was kept. objgraph looks for it, but where it begins is
decided here: 3.13t leaves functions, classes and modules out of what the garbage collector tells,
so that none is ever met there; so what they refer to is looked up beforehand, by name.
"""

import contextlib
import gc
import inspect
import itertools
import shutil
import sys
import types
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import objgraph

_DEPTH: Final = 24
_CONTAINERS: Final = (dict, list, set, deque)
_MOST: Final = 4
"""Classes, and containers, that are told of."""


def roots() -> dict[int, str]:
    """Return what modules and classes refer to: the name by the id."""
    found: dict[int, str] = {}
    for module_name, module in list(sys.modules.items()):
        if module_name == __name__ or not inspect.ismodule(module):
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
    if id(thing) in names:
        return [thing], names[id(thing)]

    def is_root(candidate: object) -> bool:
        if candidate is thing:
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


def _told(chain: list[object], root: str) -> str:
    """Return a chain as text, one line a reference."""
    if not root:
        holders = [each for each in gc.get_referrers(chain[0]) if each is not chain]
        kinds = sorted({_title(each) for each in holders if not _is_here(each)})
        return f"no root found; referred to by {', '.join(kinds) or 'nothing that is told'}"
    lines = [f"{root}: {_title(chain[0])}"]
    for holder, held in itertools.pairwise(chain):
        lines.append(f"  {_edge(holder, held)} {_title(held)}")
    return "\n".join(lines)


def _is_here(thing: object) -> bool:
    """Whether it is of this module's own doing: a frame, or what a frame of it holds."""
    return isinstance(thing, types.FrameType | types.GeneratorType | types.CellType)


def _title(thing: object) -> str:
    kind = type(thing)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    name = f"{module}{kind.__qualname__}"
    return f"{name}[{len(thing)}]" if isinstance(thing, _CONTAINERS) else name


def _edge(holder: object, held: object) -> str:
    """Return how one object refers to another, as well as that can be seen."""
    if isinstance(holder, dict):
        return _entry(holder, held)
    if isinstance(holder, list | tuple | deque):
        return next((f"[{n}]" for n, each in enumerate(list(holder)) if each is held), "in")
    if isinstance(holder, types.FrameType):
        return "local"
    return _attribute(holder, held)


def _entry(holder: dict[object, object], held: object) -> str:
    for key, value in list(holder.items()):
        if key is held:
            return "key"
        if value is held:
            return f"[{key!r:.60}]" if isinstance(key, str | int | tuple) else "[…]"
    return "→"


def _attribute(holder: object, held: object) -> str:
    for kind in type(holder).__mro__:
        for name, slot in vars(kind).items():
            if not isinstance(slot, types.MemberDescriptorType):
                continue
            with contextlib.suppress(AttributeError):  # it has no value
                if slot.__get__(holder, kind) is held:
                    return f".{name}"
    own = getattr(holder, "__dict__", {})
    if own is held:
        return ".__dict__"
    return next((f".{name}" for name, value in own.items() if value is held), "→")


def of_classes(grown: dict[str, list[object]], path: Path) -> list[str]:
    """Return what holds the objects that are new: of each class one, the shortest chains first."""
    found = [(chain_to(things[-1]), name) for name, things in grown.items() if things]
    found.sort(key=lambda each: (not each[0][1], len(each[0][0])))
    texts = []
    for (chain, root), name in found[:_MOST]:
        text = f"{name} is held by\n{_told(chain, root)}"
        if not texts:
            text += _drawn(chain, path.with_name(f"{path.name}-{name.rpartition('.')[2]}"))
        texts.append(text)
    return texts


def of_containers(work: Callable[[], object], path: Path) -> list[str]:
    """Do some more work, and return which containers have more in them after it."""
    gc.collect()
    before = {id(each): len(each) for each in _containers()}
    work()
    gc.collect()
    gc.collect()
    grown = [
        (len(each) - before[id(each)], each)
        for each in _containers()
        if each is not before and len(each) > before.get(id(each), len(each))
    ]
    grown.sort(key=lambda each: -each[0])
    texts = []
    for more, each in grown[:_MOST]:
        chain, root = chain_to(each)
        text = f"{_title(each)} had {more} entries less some rounds before; it is held by\n"
        text += _told(chain, root)
        if not texts:
            text += _drawn(chain, path.with_name(f"{path.name}-container"))
        texts.append(text)
    return texts or ["no container has grown"]


type _Container = dict[object, object] | list[object] | set[object] | deque[object]


def _containers() -> list[_Container]:
    """Return all containers; also those that the collector leaves out, and 3.13t's variables."""
    found: dict[int, _Container] = {}
    variables = [vars(each) for each in list(sys.modules.values()) if inspect.ismodule(each)]
    for thing in itertools.chain(gc.get_objects(), variables):
        for each in (thing, *gc.get_referents(thing)):
            # Not itself: in a cycle, it would hold all of them until the next collection.
            if isinstance(each, _CONTAINERS) and each is not found:
                found[id(each)] = each
    return list(found.values())


def _drawn(chain: list[object], path: Path) -> str:
    """Write a chain as a graph, in graphviz's language, and as SVG where `dot` is there."""
    written = [path.with_name(f"{path.name}.dot")]
    with written[0].open("w", encoding="utf-8") as file:
        objgraph.show_chain(chain, output=file)
    if shutil.which("dot"):
        written.append(path.with_name(f"{path.name}.svg"))
        # objgraph says on stdout that it has drawn, where a scenario's process tells its readings.
        with contextlib.redirect_stdout(None):
            objgraph.show_chain(chain, filename=str(written[-1]))
    return "".join(f"\n  graph: {each.name}" for each in written)
