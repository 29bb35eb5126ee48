"""How far apart the places are at which a test of all places stops a thread, or interrupts it.

Which places there are follows from the bytecode. A version's is the same with and without the GIL.
`make test` goes through all places on 3.14t and 3.13: each version's bytecode, each sort of build.
On 3.13t and 3.14 it goes through each fifth (`tox.ini`). Who says nothing gets all of them.
"""

import os
from typing import Final

STRIDE: Final = int(os.environ.get("TESTS_STRIDE", "1"))
"""1: no place is left out."""

assert STRIDE >= 1, "TESTS_STRIDE counts from 1"
