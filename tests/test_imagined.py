"""What the page on one trained model says of its moves, its values and its plan."""

import numpy as np
import pytest
from oracles import backup, deterministic_policies, long_run_value, random_mdp

import pve
from pve.book import imagined

ENV, OTHER = random_mdp(0, 4, 2), random_mdp(1, 4, 2)


def optimal(mdp):
    """The best deterministic policy, by enumeration."""
    every = deterministic_policies(*mdp.reward.shape)
    return max(every, key=lambda policy: long_run_value(mdp, policy).sum())


def test_what_a_plan_costs_by_enumeration():
    told = imagined.plan_facts(OTHER, ENV)
    best = long_run_value(ENV, optimal(ENV))
    plan = optimal(OTHER)
    q = ENV.reward + ENV.discount * ENV.transition @ best
    costs = [best[s] - q[s, plan[s].argmax()] for s in range(4)]
    assert told["agree"] == pytest.approx(25 * sum(cost < 1e-9 for cost in costs))
    assert told["cost"] == pytest.approx(np.median([c for c in costs if c > 1e-9]))
    assert told["gap"] == pytest.approx(np.median(q.max(-1) - q.min(-1)))


def test_the_world_itself_gives_nothing_up():
    told = imagined.plan_facts(ENV, ENV)
    assert told["cost"] == 0
    assert told["agree"] == 100


def test_moves_by_hand():
    # Three cells in a row; the model leaps from one end to the other half of the time.
    p = np.array([[[0.5, 0.5, 0]], [[0.5, 0, 0.5]], [[0, 0.5, 0.5]]])
    q = p.copy()
    q[0, 0] = 0.5, 0, 0.5
    world, model = (pve.MDP(np.zeros((3, 1)), x, 0.9) for x in (p, q))
    xy = [(0, 0), (1, 0), (2, 0)]
    at_home = imagined.moves(world, world, xy, 0)
    assert at_home == imagined.Moves(0, pytest.approx(1 / 3), pytest.approx(2 / 3), 2)
    found = imagined.moves(model, world, xy, 0)
    assert found.beyond == pytest.approx(1 / 6)
    assert found.length == pytest.approx((1 + 1 + 0.5) / 3)
    lines = imagined.moves_table(at_home, found).splitlines()
    assert lines[2] == "| probability of cells that no action reaches | 0 % | 17 % |"
    assert lines[4] == "| cells that a move covers | 0.67 | 0.83 |"
    assert lines[5].endswith("| 2 | 2 |")


def test_values_compared_by_loops():
    policies = deterministic_policies(4, 2)[:5]
    found = imagined.compared(OTHER, random_mdp(2, 4, 2), ENV, policies)
    true, own, old = (
        np.array([long_run_value(m, p) for p in policies])
        for m in (ENV, OTHER, random_mdp(2, 4, 2))
    )
    left = [backup(OTHER, p, v) - v for p, v in zip(policies, true, strict=True)]
    assert found.size == pytest.approx(np.sqrt((true**2).mean()))
    assert found.error == pytest.approx(np.sqrt(((own - true) ** 2).mean()))
    assert found.before == pytest.approx(np.sqrt(((old - true) ** 2).mean()))
    assert found.residual == pytest.approx(np.sqrt(np.square(left).mean()), rel=1e-4)
    assert found.largest == pytest.approx(np.abs(own - true).max())
    x, y = (values.mean(-1) - values.mean() for values in (true, own))
    assert found.correlation == pytest.approx(x @ y / np.sqrt((x @ x) * (y @ y)))
    lines = imagined.compared_table({"mine": found}).splitlines()
    assert lines[2].startswith(f"| mine | {found.size:.2f} | {found.error:.2f} |")
    assert lines[2].endswith(f"| {found.correlation:.2f} |")
    alone = imagined.compared(OTHER, random_mdp(2, 4, 2), ENV, policies[:1])
    assert imagined.compared_table({"mine": alone}).endswith("| — |")
