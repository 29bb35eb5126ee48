"""`MISSING`: the absence of a value where `None` is a value."""

import copy
import pickle

import threadpool_mb as mb


def test_missing_is_false_and_reads_as_its_public_name() -> None:
    assert not mb.MISSING
    assert repr(mb.MISSING) == "MISSING"
    assert f"{mb.MISSING}" == str(mb.MISSING) == "MISSING"


def test_missing_is_one_object_also_when_it_is_copied_or_pickled() -> None:
    copies = [
        copy.copy(mb.MISSING),
        copy.deepcopy(mb.MISSING),
        pickle.loads(pickle.dumps(mb.MISSING)),  # noqa: S301 - our own
    ]

    assert all(found is mb.MISSING for found in copies)


def test_missing_is_neither_none_nor_false() -> None:
    assert mb.MISSING is not None
    assert mb.MISSING != False  # noqa: E712 - equality is the claim
    assert isinstance(mb.MISSING, mb.originals.Missing)
    assert list(mb.originals.Missing) == [mb.MISSING]
