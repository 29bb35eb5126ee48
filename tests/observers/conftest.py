"""Real libraries that are told of pools, in an environment of their own: `make observers`.

Not part of a normal run, which has none of them: `norecursedirs` in pyproject.toml. What
tests/conftest.py says holds here too: nothing is skipped, no thread is left behind, and the GIL
stays off on a free-threaded build.
"""
