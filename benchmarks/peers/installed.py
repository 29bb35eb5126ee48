"""Packages that do not install everywhere: which are here, and why the others are not."""

import dataclasses
import importlib
import importlib.metadata
from typing import Any, Final


@dataclasses.dataclass(frozen=True, slots=True)
class Package:
    """A package that may be installed."""

    name: str
    needs: str
    """The interpreters that it installs on."""
    module: Any
    """What was imported; `None` if the package is not here."""

    def select[T](self, *entries: T) -> list[T]:
        """Return the entries, or none of them if the package is not here."""
        return [] if self.module is None else list(entries)

    def fact(self) -> str:
        """Return the version, or why the package's rows are left out."""
        if self.module is None:
            return f"left out, as it is not installed here (group peers, {self.needs})"
        return importlib.metadata.version(self.name)


def find(name: str, *modules: str, needs: str) -> Package:
    """Import modules of a package, if the package is installed; the first is the package's."""
    try:
        first, *_ = [importlib.import_module(module) for module in modules]
    except ModuleNotFoundError:
        first = None
    return Package(name, needs, first)


TONIO: Final = find(
    "tonio", "tonio.colored", "tonio.colored.sync", needs="free-threaded CPython 3.14 or newer"
)
NIGRAINS: Final = find("nigrains", "nigrains", needs="CPython 3.13 or newer")
CASTY: Final = find("casty", "casty", needs="CPython 3.14 or newer")


PACKAGES: Final = (TONIO, NIGRAINS, CASTY)


def facts() -> dict[str, str]:
    """Return the version of each package, or why its rows are left out, by its name."""
    return {package.name: package.fact() for package in PACKAGES}
