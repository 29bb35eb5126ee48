"""A look at a pool, counted in bytecodes: what no machine is too busy for."""

from benchmarks import looking
from tests.insides import let_all_rest
from threadpool_mb import Pool


def idle(keys: int) -> Pool[int, bool]:
    """Return a pool with so many keys, all of which rest."""
    pool = looking._filled(keys)
    let_all_rest(pool)
    return pool


def test_a_look_at_many_idle_keys_takes_the_steps_of_one_at_few() -> None:
    with idle(3) as few, idle(700) as many:
        few_steps, many_steps = looking.bytecodes(few.stats), looking.bytecodes(many.stats)

        assert 0 < many_steps < 1.1 * few_steps
        assert looking.bytecodes(lambda: list(many.workers())) > 700


def test_looks_at_both_pools_alternate() -> None:
    order: list[str] = []

    few, many = looking.alternate(lambda: order.append("few"), lambda: order.append("many"), 4)

    assert order == ["many", "few", "few", "many"] * 2
    assert len(few.times) == len(many.times) == 4
    assert str(looking.Figures([1.0, 2.0, 9.0])) == "2.0 µs (1.0 … 9.0)"
