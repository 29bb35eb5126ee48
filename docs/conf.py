"""How Sphinx builds the site: `make docs`.

The pages are plain Markdown, as the forge shows them. What differs on the site is done here: links
to examples are downloads, those to other files of the checkout lead to the repository, and
docstrings, which are Google's sections around Markdown, become the reference.
"""

import importlib
import inspect
import operator
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeAliasType

import threadpool_mb as mb

DOCS: Final = Path(__file__).parent
ROOT: Final = DOCS.parent
sys.path.insert(0, str(ROOT))  # `docs.public_names`, which a test uses, too

from docs import public_names  # noqa: E402 - see the line above

PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
REPOSITORY: Final[str] = PROJECT["urls"]["Repository"]

project = PROJECT["name"]
author = copyright = "threadpool_mb developers"  # noqa: A001 - the name that Sphinx reads
version = release = mb.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.linkcode",
]
html_theme = "furo"
html_title = "threadpool_mb"
html_copy_source = False
html_theme_options: dict[str, list[str]] = {"top_of_page_buttons": []}
pygments_style = "friendly"
myst_heading_anchors = 4  # the forge's anchors: `#how-it-is-proved`
exclude_patterns = ["_*"]

# A docstring's `name` is code; where it names a public object, it is a link, too.
default_role = "py:obj"
autoclass_content = "both"  # the arguments are described in `__init__`
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {
    "inherited-members": "ThreadPoolExecutor,BaseException,OSError,Protocol,Generic,str,object",
}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

# A name of ours in a signature that is in no page is a warning. Of others there is no inventory: a
# build needs no network.
nitpicky = True
nitpick_ignore_regex = [
    ("py:obj", "(?s).*"),  # most names in backticks are arguments, or code
    ("py:.*", r"(?!threadpool_mb\b).*"),
]
# Of signatures with which nobody outside of the package calls anything.
nitpick_ignore = [
    ("py:class", f"threadpool_mb.{name}")
    for name in [
        "arguments.Deadline",
        "calls.answer.Answer",
        "calls.handlers.Handlers",
        "calls.handlers._Answers",
        "calls.handlers._TakesCall",
        "dashboard.watching.Sampler",
        "pool.later.Later",
        "pool.waits._Result",
    ]
]
linkcheck_ignore = [re.escape(REPOSITORY) + ".*"]  # `_with_links` has looked for the file

_LINK: Final = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)(?=[#)])")
_FENCE: Final = re.compile(r"(?ms)^```(\w+)\n(.*?)^```$")
_OWN_SECTION: Final = re.compile(r"(?ms)^(Blocks|Threads): (.*?)(?=\n\n|\n(?:Blocks|Threads): |\Z)")
_OF_THE_ORIGINAL: Final = re.compile(r"(?ms)^From the original.*?(?=\n\n|\Z)")
"""Names in Haskell: code that is no link."""

_ALIASES: Final = {
    "threadpool_mb.calls.messages.Request": "threadpool_mb.originals.Request",
    **{
        f"{value.__module__}.{name}": f"threadpool_mb.{name}"
        for name in mb.__all__
        if isinstance(value := getattr(mb, name), TypeAliasType)
    },
}
"""The public names of type aliases, by the names that annotations have. (Sphinx knows those of
classes and functions.)"""


class _Domain(Protocol):
    """What is used of Sphinx here: so the type checkers need no Sphinx."""

    def resolve_xref(self, *args: object) -> object: ...


class _Environment(Protocol):
    def doc2path(self, docname: str) -> str | Path: ...
    def get_domain(self, name: str) -> _Domain: ...


class _App(Protocol):
    @property
    def env(self) -> _Environment: ...
    @property
    def builder(self) -> object: ...
    def connect(self, event: str, callback: Callable[..., object], priority: int = 500) -> int: ...


class _Reference(Protocol):
    """A `pending_xref`."""

    def __getitem__(self, name: str, /) -> str: ...
    def __setitem__(self, name: str, value: str, /) -> None: ...
    def get(self, name: str, /) -> str | None: ...


def _with_links(text: str, folder: Path, page: Path) -> str:
    """Return Markdown of a folder as a page of the site may have it.

    What is outside of `docs` leads to the repository, but for the examples: of what is linked so
    the site has a copy. What is nowhere stays: Sphinx complains.
    """

    def link(match: re.Match[str]) -> str:
        target = (folder / match[1]).resolve()
        if target.is_relative_to(DOCS) or (target.parent == ROOT / "examples" and target.is_file()):
            return target.relative_to(page.parent, walk_up=True).as_posix()
        if target.is_relative_to(ROOT) and target.exists():
            kind = "tree" if target.is_dir() else "blob"
            return f"{REPOSITORY}/{kind}/main/{target.relative_to(ROOT).as_posix()}"
        return match[0]

    return _LINK.sub(link, text)


def _page_read(app: _App, docname: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(docname))
    if docname == "names":
        source[0] = source[0].replace(public_names.PLACE, public_names.table(ROOT))
    source[0] = _with_links(source[0], page.parent, page)


def _include_read(app: _App, path: Path, docname: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(docname))
    source[0] = _with_links(source[0], (page.parent / path).resolve().parent, page)


def _docstring_read(
    _app: _App, what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Turn what Napoleon does not know into reStructuredText: fences, `Blocks:` and `Threads:`."""
    if what in {"attribute", "property", "data"}:
        # A comment: Napoleon takes what stands before a colon of the first line for a type.
        lines[:0] = ["..", ""]
    text = _FENCE.sub(_code_block, "\n".join(lines))
    text = _OF_THE_ORIGINAL.sub(lambda found: found[0].replace("`", "``"), text)
    lines[:] = _OWN_SECTION.sub(_field, text).split("\n")


def _code_block(match: re.Match[str]) -> str:
    return f".. code-block:: {match[1]}\n\n{textwrap.indent(match[2], '    ')}"


def _field(match: re.Match[str]) -> str:
    text = match[2].replace("\n", "\n    ")
    return f"\n:{match[1]}: {text}"


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """Return where the repository has what the reference describes; Sphinx asks for this name."""
    if domain != "py" or not info["module"]:
        return None
    try:
        module = importlib.import_module(info["module"])
        described = inspect.unwrap(operator.attrgetter(info["fullname"])(module))
        file = Path(inspect.getfile(described))
        lines, first = inspect.getsourcelines(described)
    except (AttributeError, OSError, TypeError):
        return None  # a field, a type alias
    path = Path(*file.parts[file.parts.index("threadpool_mb") :]).as_posix()
    return f"{REPOSITORY}/blob/main/src/{path}#L{first}-L{first + len(lines) - 1}"


def _missing_reference(
    app: _App, env: _Environment, node: _Reference, content: object
) -> object | None:
    """Resolve a type alias, which annotations have with the module it is defined in."""
    name = _ALIASES.get(node["reftarget"])
    if node.get("refdomain") != "py" or name is None:
        return None
    node["reftarget"] = name
    domain = env.get_domain("py")
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], name, node, content
    )


def _never(_type: object) -> bool:
    return False


def setup(app: _App) -> None:
    """Tell Sphinx of what is done here."""
    # Sphinx 9.2 leaves out arguments that it takes for those of `typing.Dict`: the variables of
    # `Iterable[M]`, since those of `def f[M]` are `typing`'s, too.
    vars(importlib.import_module("sphinx.util.typing"))["is_system_TypeVar"] = _never
    app.connect("source-read", _page_read)
    app.connect("include-read", _include_read)
    app.connect("autodoc-process-docstring", _docstring_read, 400)  # before Napoleon
    app.connect("missing-reference", _missing_reference)
