"""The demo: source files tallied by package, once through a `Pool` and once on one thread."""
