"""Relatives of value equivalence: losses, laws of returns, tolerances, partial models."""

import itertools

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import optimize

import pve
from pve.book import relatives
from pve.equivalence import calibration, partial, value_aware
from pve.equivalence.lazy import lazy_model
from pve.equivalence.transfer import transfer
from pve.mdp import returns, simulation

RNG = np.random.default_rng(5)
START = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def same_draws_for_each_test():
    RNG.bit_generator.state = START


def random_mdp(S=4, A=2, discount=0.8, rng=RNG):
    return pve.MDP(rng.normal(size=(S, A)), rng.dirichlet(np.ones(S), (S, A)), discount)


def every_policy(S, A):
    return np.eye(A)[list(itertools.product(range(A), repeat=S))]


# The whole distribution of a return.


def enumerated(mdp, policy, state, moves):
    """Returns and chances, trajectory by trajectory."""
    S, A = mdp.reward.shape
    found = []
    for path in itertools.product(range(S * A), repeat=moves):
        s, chance, total = state, 1.0, 0.0
        for t, step in enumerate(path):
            a, after = divmod(step, S)
            total += mdp.discount**t * mdp.reward[s, a]
            chance *= policy[s, a] * mdp.transition[s, a, after]
            s = after
        found.append((total, chance))
    return np.array(found).T


def test_law_is_that_of_enumerated_trajectories():
    mdp = random_mdp(3)
    policy = RNG.dirichlet(np.ones(2), 3)
    law = returns.return_law(mdp, policy, 1, 3)
    totals, chances = enumerated(mdp, policy, 1, 3)
    assert (np.diff(law.returns) > 0).all()
    assert np.isclose(law.chances.sum(), 1)
    for power in range(1, 5):
        expected = chances @ totals**power
        assert np.isclose(law.chances @ law.returns**power, expected)
    for level in law.returns:
        below = chances[totals <= level + 1e-9].sum()
        assert np.isclose(law.chances[law.returns <= level].sum(), below)


def test_equal_returns_are_one_atom():
    mdp = pve.MDP([[0.1], [0.1]], np.full((2, 1, 2), 0.5), 0.9)
    law = returns.return_law(mdp, np.ones((2, 1)), 0, 10)
    assert law.returns.size == 1
    assert np.isclose(law.returns[0], 0.1 * (1 - 0.9**10) / (1 - 0.9))


@pytest.mark.parametrize("unit", [1.0, 1e-13, 1e13])
def test_returns_are_told_apart_in_any_unit(unit):
    mdp = pve.MDP([[0.0], [unit]], np.full((2, 1, 2), 0.5), 0.5)
    law = returns.return_law(mdp, np.ones((2, 1)), 0, 3)
    np.testing.assert_allclose(law.returns / unit, [0, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(law.chances, 0.25)


def test_deviation_is_that_of_the_law_over_many_moves():
    mdp = pve.MDP(RNG.normal(size=(2, 2)), RNG.dirichlet(np.ones(2), (2, 2)), 0.3)
    policy = RNG.dirichlet(np.ones(2), 2)
    found = returns.return_deviation(mdp, policy)
    for s in range(2):
        law = returns.return_law(mdp, policy, s, 7)
        left = 2 * np.abs(mdp.reward).max() * 0.3**7 / 0.7  # what comes later
        assert abs(law.deviation - found[s]) < left
        assert abs(law.mean - pve.policy_value(mdp, policy)[s]) < left


def test_deviation_of_a_coin_in_closed_form():
    # Each move pays 0 or 1 by a coin: the variance is Σ γ^2t / 4, after the first.
    mdp = pve.MDP([[0.0], [1.0]], np.full((2, 1, 2), 0.5), 0.9)
    expected = np.sqrt(0.25 * 0.81 / (1 - 0.81))
    np.testing.assert_allclose(returns.return_deviation(mdp, np.ones((2, 1))), expected)


def test_deviation_is_what_sampling_gives():
    mdp = random_mdp(4)
    policy = RNG.dirichlet(np.ones(2), 4)
    rng, num, s = np.random.default_rng(0), 40_000, np.zeros(40_000, int)
    total = np.zeros(num)
    for t in range(60):
        a = (rng.random(num) > policy[s, 0]).astype(int)
        total += mdp.discount**t * mdp.reward[s, a]
        sums = mdp.transition[s, a].cumsum(-1)
        s = np.minimum((rng.random((num, 1)) > sums).sum(-1), 3)
    found = returns.return_deviation(mdp, policy)[0]
    # The standard error of a standard deviation, by its fourth moment.
    centred = total - total.mean()
    error = np.sqrt((centred**4).mean() - (centred**2).mean() ** 2)
    error /= 2 * found * np.sqrt(num)
    assert abs(centred.std() - found) < 4 * error


def test_cvar_is_the_variational_formula():
    # Rockafellar and Uryasev: the largest c − E (c − G)⁺ / α, attained at an atom.
    chances = RNG.dirichlet(np.ones(6))
    law = returns.Law(np.sort(RNG.normal(size=6)), chances)
    for share in (0.01, 0.2, 0.5, 0.77, 1.0):
        short = np.maximum(law.returns[:, None] - law.returns, 0) @ chances
        expected = (law.returns - short / share).max()
        assert np.isclose(law.cvar(share), expected)
    assert np.isclose(law.cvar(1.0), law.mean)
    assert np.isclose(law.cvar(1e-9), law.returns[0])


def test_plan_for_the_mean_is_the_plan():
    mdp = relatives.crossing(again=False)
    value, plan = returns.plan_for_cvar(mdp, 0, 2, 1.0)
    best, policy = pve.policy_iteration(mdp)
    assert np.isclose(value, best[0])
    np.testing.assert_array_equal(plan, policy)


ONE_LEGAL = pve.MDP([[0.0, -np.inf]], [[[1.0], [1.0]]], 0.9)
BOTH = np.array([[0.5, 0.5]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda law: law.cvar(0.0), "share is 0.0; expected"),
        (lambda law: law.cvar(1.5), "share is 1.5; expected"),
        (
            lambda _: returns.return_law(random_mdp(), np.full((4, 2), 0.5), 4, 1),
            "state is 4; expected an integer from 0 to 3",
        ),
        (
            lambda _: returns.return_law(random_mdp(), np.full((4, 2), 0.5), 0, 0),
            "moves",
        ),
        (lambda _: returns.return_law(ONE_LEGAL, BOTH, 0, 1), "action 1 is not allowed"),
        (
            lambda _: pve.trajectories(jax.random.key(0), ONE_LEGAL, BOTH, 0, 1, 1),
            "action 1 is not allowed",
        ),
        (
            lambda _: simulation.hitting_probability(ONE_LEGAL, BOTH, [0]),
            "action 1 is not allowed",
        ),
    ],
)
def test_what_is_not_legal_is_refused(call, message):
    law = returns.Law(np.zeros(1), np.ones(1))
    with pytest.raises(ValueError, match=message):
        call(law)


# The sampled loss.


def test_sampled_loss_is_the_mean_over_all_pairs_of_next_states():
    model, env = random_mdp(), random_mdp()
    policies = RNG.dirichlet(np.ones(2), (3, 4))
    values = RNG.normal(size=(3, 4))
    found = calibration.sampled_loss(model, env, policies, values)
    x = model.reward[..., None] + 0.8 * values[:, None, None]  # [B, S, A, next]
    y = env.reward[..., None] + 0.8 * values[:, None, None]
    joint = np.einsum("sai,saj->saij", model.transition, env.transition)
    squares = (x[..., :, None] - y[..., None, :]) ** 2
    expected = (policies * (joint * squares).sum((-1, -2))).sum((-1, -2)).mean()
    assert np.isclose(found.total, expected)
    # Two samples of the model and one of the world.
    means = (model.transition * x).sum(-1)[..., None]
    products = (env.transition * (means - y) ** 2).sum(-1)
    assert np.isclose(found.corrected, (policies * products).sum((-1, -2)).mean())


def test_bias_of_deterministic_policies_is_the_loss_of_order_one():
    model, env = random_mdp(), random_mdp()
    policies = every_policy(4, 2)
    values = RNG.normal(size=(16, 4))
    found = calibration.sampled_loss(model, env, policies, values)
    assert np.isclose(found.bias, pve.ve_loss(model, env, policies, values, 1))


def test_two_states_in_closed_form():
    p, values = 0.3, np.array([[0.0, 1.0]])
    policies = np.ones((1, 2, 1))

    def coin(chance):
        return pve.MDP(np.zeros((2, 1)), [[[1 - chance, chance]]] * 2, 0.5)

    for q in (0.0, 0.3, 0.8, 1.0):
        found = calibration.sampled_loss(coin(q), coin(p), policies, values)
        assert np.isclose(found.total, 2 * 0.25 * (p + q - 2 * p * q))
        exact = 2 * 0.25 * ((q - p) ** 2 + p * (1 - p))
        assert np.isclose(found.corrected, exact)


@pytest.mark.parametrize("free", [True, False])
def test_no_model_has_a_smaller_sampled_loss_than_the_certain_one(free):
    env = random_mdp()
    policies = RNG.dirichlet(np.ones(2), (6, 4))
    values = pve.policy_value(env, policies)
    found = calibration.certain_model(env, policies, values, free_reward=free)
    assert set(np.unique(found.transition)) == {0.0, 1.0}
    least = calibration.sampled_loss(found, env, policies, values).total
    world = calibration.sampled_loss(env, env, policies, values)
    assert least < world.total
    assert world.bias == 0
    for rows in itertools.product(range(4), repeat=2):  # of state 0, all sure ones
        other = found.transition.copy()
        other[0] = np.eye(4)[list(rows)]
        rival = pve.MDP(found.reward, other, 0.8)
        assert calibration.sampled_loss(rival, env, policies, values).total >= least - 1e-12
    for _ in range(200):
        rival = random_mdp(discount=0.8)
        reward = found.reward + 0.3 * rival.reward if free else env.reward
        mixed = pve.MDP(reward, 0.8 * found.transition + 0.2 * rival.transition, 0.8)
        assert calibration.sampled_loss(mixed, env, policies, values).total >= least


def test_certain_model_refuses_what_is_never_taken():
    policies = np.eye(2)[np.zeros((3, 4), int)]
    with pytest.raises(ValueError, match="no policy takes action 1 in state 0"):
        calibration.certain_model(random_mdp(), policies, np.zeros((3, 4)))


# Tolerances.


def largest_left_open(values, target, epsilon, discount):
    """max δr + γ δp·u over all errors of a pair that keep the tolerance: the dual."""
    num, S = values.shape
    split = np.hstack([discount * values, -discount * values])  # δp = p̃ − p
    rows = np.hstack([np.ones((num, 1)), split])
    found = optimize.linprog(
        -np.concatenate([[1.0], discount * target, -discount * target]),
        A_ub=np.vstack([rows, -rows]),
        b_ub=np.full(2 * num, epsilon),
        A_eq=[
            [0.0, *np.ones(S), *np.zeros(S)],
            [0.0, *np.zeros(S), *np.ones(S)],
        ],
        b_eq=[1.0, 1.0],
        bounds=[(None, None)] + [(0, 1)] * (2 * S),
    )
    return -found.fun


@pytest.mark.parametrize("num", [1, 3, 5, 8])
@pytest.mark.parametrize("epsilon", [0.0, 0.01, 1.0])
def test_tolerance_is_the_largest_error_left_open(num, epsilon):
    values, target = RNG.normal(size=(num, 6)) + 30, 2 * RNG.normal(size=6) - 4
    found = transfer(values, target, epsilon, 0.9)
    expected = largest_left_open(values, target, epsilon, 0.9)
    assert np.isclose(found.tolerance, expected, atol=1e-7)
    assert np.isclose(found.weights.sum(), 1)
    np.testing.assert_allclose(found.weights @ values + found.rest, target)


def test_a_model_within_the_tolerance_is_within_the_bound():
    env = random_mdp(6)
    values, target = RNG.normal(size=(3, 6)), RNG.normal(size=6)
    for _ in range(20):
        other = random_mdp(6)
        model = pve.MDP(
            env.reward + 0.1 * other.reward,
            0.7 * env.transition + 0.3 * other.transition,
            0.8,
        )

        def error(v, model=model):
            off = model.reward - env.reward
            return np.abs(off + 0.8 * (model.expect(v) - env.expect(v))).max()

        assert (
            error(target) <= transfer(values, target, error(values), 0.8).tolerance + 1e-9
        )


def test_tolerance_refuses_what_is_not_legal():
    with pytest.raises(ValueError, match="expected epsilon ≥ 0"):
        transfer(np.ones((1, 2)), np.ones(2), -1.0, 0.9)


# Value-aware learning.


def test_two_state_model_is_right_for_its_function_and_goes_to_two_states():
    env, value = random_mdp(7), RNG.normal(size=7)
    model = value_aware.two_state_model(env, value)
    np.testing.assert_allclose(model.expect(value), env.expect(value))
    assert set(np.nonzero(model.transition)[2]) == {value.argmin(), value.argmax()}
    assert value_aware.value_aware_loss(model, env, value[None]) < 1e-20
    flat = value_aware.two_state_model(env, np.full(7, 3.0))
    np.testing.assert_allclose(flat.expect(np.full(7, 3.0)), 3.0)


def test_value_aware_loss_on_the_cubes_corners_is_total_variation():
    env, model = random_mdp(5), random_mdp(5)
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=5)))
    apart = np.abs(model.transition - env.transition).sum(-1)
    found = value_aware.value_aware_loss(model, env, corners)
    assert np.isclose(found, (apart**2).mean())


def test_plan_of_the_two_state_model_is_greedy_for_a_multiple():
    for _ in range(20):
        env, value = random_mdp(5, 3), RNG.normal(size=5)
        model = value_aware.two_state_model(env, value)
        own, plan = pve.policy_iteration(model)
        low, high = value.argmin(), value.argmax()
        kappa = (own[high] - own[low]) / (value[high] - value[low])
        np.testing.assert_array_equal(plan, pve.greedy_policy(env, kappa * value))


# Partial models.


def consistent(mdp, blocks):
    """By the definition, pair of states by pair of states."""
    for s, t in itertools.combinations(range(mdp.num_states), 2):
        if blocks[s] == blocks[t]:
            if not np.allclose(mdp.reward[s], mdp.reward[t]):
                return False
            for block in set(blocks):
                into = mdp.transition[..., np.array(blocks) == block].sum(-1)
                if not np.allclose(into[s], into[t]):
                    return False
    return True


def divisions(n):
    """All ways to divide n states, blocks numbered by their first states."""
    if n == 0:
        yield []
        return
    for shorter in divisions(n - 1):
        for block in range(max(shorter, default=-1) + 2):
            yield [*shorter, block]


def lumpy_mdp(rng):
    """A world of 5 states in which some are alike."""
    blocks = rng.permutation([0, 0, 1, 1, 2])
    small = random_mdp(3, 2, rng=rng)
    transition = np.zeros((5, 2, 5))
    for s, a, block in itertools.product(range(5), range(2), range(3)):
        members = np.flatnonzero(blocks == block)
        shares = rng.dirichlet(np.ones(len(members)))
        transition[s, a, members] = small.transition[blocks[s], a, block] * shares
    return pve.MDP(small.reward[blocks], transition, 0.8)


@pytest.mark.parametrize("seed", range(4))
def test_coarsest_blocks_are_the_coarsest_of_all_divisions(seed):
    mdp = lumpy_mdp(np.random.default_rng(seed))
    right = [blocks for blocks in divisions(5) if consistent(mdp, blocks)]
    fewest = min(right, key=lambda blocks: max(blocks))
    found = partial.coarsest_blocks(mdp)
    assert max(found) == 2
    np.testing.assert_array_equal(found, fewest)
    for blocks in divisions(5):
        assert (partial.inconsistency(mdp, blocks) < 1e-9) == (blocks in right)


def test_lumped_values_are_those_of_policies_that_do_not_look():
    mdp = lumpy_mdp(np.random.default_rng(0))
    blocks = partial.coarsest_blocks(mdp)
    small = partial.lump(mdp, blocks)
    policies = RNG.dirichlet(np.ones(2), (10, 3))
    np.testing.assert_allclose(
        pve.policy_value(small, policies)[:, blocks],
        pve.policy_value(mdp, policies[:, blocks]),
    )
    np.testing.assert_allclose(
        pve.policy_iteration(small)[0][blocks], pve.policy_iteration(mdp)[0]
    )


def test_blocks_that_are_not_consistent_give_wrong_values():
    mdp = random_mdp(4)
    blocks = np.array([0, 0, 1, 2])
    assert partial.inconsistency(mdp, blocks) > 0.01
    small = partial.lump(mdp, blocks)
    policy = np.full((3, 2), 0.5)
    off = pve.policy_value(small, policy)[blocks] - pve.policy_value(mdp, policy[blocks])
    assert np.abs(off).max() > 0.01


@pytest.mark.parametrize("blocks", [[0, 1], [0, 1, 3, 3], [1, 1, 2, 2]])
def test_blocks_are_checked(blocks):
    with pytest.raises(ValueError, match="expected 4 numbers"):
        partial.lump(random_mdp(), blocks)


# The page.


def test_the_usual_day_is_proper_and_wrong_in_the_tail():
    world, model = relatives.crossing(), relatives.crossing(certain=True)
    for policy in RNG.dirichlet(np.ones(2), (20, 5)):
        np.testing.assert_allclose(
            pve.policy_value(model, policy), pve.policy_value(world, policy)
        )
    ferry = np.eye(2)[np.ones(5, int)]
    # Each crossing's pay is 0 or 2: Σ γ^(2 (1 + 2 t)) from the shore.
    expected = np.sqrt(0.9**2 / (1 - 0.9**4))
    assert np.isclose(returns.return_deviation(world, ferry)[0], expected)
    assert returns.return_deviation(model, ferry)[0] == pytest.approx(0, abs=1e-7)


def test_risk_table_says_what_the_plans_are_worth():
    pair = (relatives.crossing(again=False, certain=c) for c in (False, True))
    rows = relatives.risk_table(*pair, 2, [0.25, 1.0]).splitlines()[2:]
    assert rows[0] == "| 0.25 | bridge | 0.72 | ferry | 0.90 | 0.00 |"
    assert rows[1] == "| 1 | ferry | 0.90 | ferry | 0.90 | 0.90 |"


def test_demands_are_met_by_the_world_and_told_apart_by_models():
    world, ferry = relatives.crossing(), np.eye(2)[np.ones(5, int)]
    models = {"world": world, "usual": relatives.crossing(certain=True)}
    found = relatives.demands(models, world, ferry)
    assert all(numbers[0] == 0 for numbers in found.values())
    usual = {name: numbers[1] for name, numbers in found.items()}
    assert usual["rewards, next states"] == 1
    # Two crossings by ferry pay 0.9 (a + 0.81 b), a and b of 0 or 2; on usual days 1 and 1.
    law = [abs(0.9 * (a + 0.81 * b) - 0.9 * 1.81) for a in (0, 2) for b in (0, 2)]
    assert usual["laws of all returns"] == pytest.approx(np.mean(law))
    assert usual["all policies' values"] == usual["plan for the mean loses"] == 0
    # What the worst quarter of ferries loses is all that the bridge pays.
    assert usual["plan for the worst quarter loses"] == pytest.approx(0.9 * 0.8)
    # Half the policies take the ferry, whose variance is γ² on its one pair.
    assert usual["sampled loss"] == pytest.approx(-0.81 / 2)
    table = relatives.demands_table(found, models).splitlines()
    assert len(table) == 2 + len(found)
    assert all(row.count("✓") >= 1 for row in table[2:])
    assert "| sampled loss | ✓ | −0.40 |" in table  # −0.405, rounded


def deaf(mdp, policy):
    reward = np.repeat((policy * mdp.reward).sum(-1, keepdims=True), 2, 1)
    chain = np.einsum("sa,sat->st", policy, mdp.transition)
    return pve.MDP(reward, np.repeat(chain[:, None], 2, 1), mdp.discount)


def test_demands_imply_what_the_map_says_and_no_more():
    world, usual = relatives.crossing(), relatives.crossing(certain=True)
    best, ferry = pve.policy_iteration(world)[0], np.eye(2)[np.ones(5, int)]
    models = {
        "world": world,
        "usual": usual,
        "deaf": deaf(world, ferry),
        "two-state": value_aware.two_state_model(world, best),
        "lazy": lazy_model(world, 0.5, best),
        "half usual": pve.MDP(world.reward, (world.transition + usual.transition) / 2, 0.9),
        "deaf on the bridge": deaf(world, ferry[:, ::-1]),
        "lazier": lazy_model(world, 0.9, 1.0),
        "another": pve.MDP(world.reward, RNG.dirichlet(np.ones(5), (5, 2)), 0.9),
    }
    found = relatives.demands(models, world, ferry)
    assert set(found) == set(relatives.NODES)
    met = {name: np.array(numbers) == 0 for name, numbers in found.items()}
    for (stronger, weaker), name in relatives.ARROWS.items():
        assert (met[weaker] | ~met[stronger]).all()
        if name:
            place = list(models).index(name)
            assert met[weaker][place]
            assert not met[stronger][place]
    assert min(found["sampled loss"]) < 0  # the world's is not the least


def test_map_has_a_box_for_each_demand_and_names_the_models():
    (ax,) = relatives.draw_map().axes
    words = [text.get_text() for text in ax.texts if text.get_text()]
    boxes = [text for *_, text in relatives.NODES.values()]
    assert sorted(words) == sorted(boxes + [m for m in relatives.ARROWS.values() if m])
    plt.close("all")


def test_features_beside_a_world_change_nothing():
    env = random_mdp(4)
    rich = relatives.with_features(env, [[0.9, 0.1], [0.2, 0.8]], np.eye(3)[[1, 2, 0]])
    assert rich.reward.shape == (24, 2)
    world = np.repeat(np.arange(4), 6)
    assert partial.inconsistency(rich, world) < 1e-12
    np.testing.assert_array_equal(partial.coarsest_blocks(rich), world)
    # The lamp goes on by itself, whatever the action.
    lamp = np.tile(np.repeat([0, 1], 3), 4)
    goes = rich.transition[..., lamp == 1].sum(-1)
    np.testing.assert_allclose(goes, np.where(lamp == 0, 0.1, 0.8)[:, None] * np.ones(2))


def test_iterations_are_those_of_the_world():
    env = random_mdp(5)
    found = relatives.iterations(env, 40)
    assert found.apart.max() < 1e-12
    value = np.zeros(5)
    for _ in range(7):
        value = pve.bellman_optimality(env, value)
    assert np.isclose(found.stands[6], value.mean())
    best = pve.policy_iteration(env)[0].mean()
    for name in ("greedy", "planned"):
        assert getattr(found, name)[-1] == pytest.approx(best)
    assert found.promised[-1] == pytest.approx(best, abs=0.01)


def test_departures_begin_at_the_acting_policy():
    env = random_mdp(6, 3)
    best, acting = pve.policy_iteration(env)
    found = relatives.departures(env, random_mdp(6, 3), acting, [0.0, 1.0], 5, 0)
    np.testing.assert_allclose(found.world[0], best.mean())
    assert (found.world[1] < best.mean()).all()
    assert found.model.shape == (2, 5)


def test_calibration_table_has_the_worlds_row():
    env = random_mdp()
    policies = every_policy(4, 2)
    values = pve.policy_value(env, policies)
    text = relatives.calibration_table({"world": env}, env, policies, values)
    loss = calibration.sampled_loss(env, env, policies, values)
    best = pve.policy_iteration(env)[0].mean()
    row = text.splitlines()[-1]
    assert row.startswith(
        f"| world | {loss.total:.2f} | {loss.world:.2f} | 0.00 | {best:.1f}"
    )


def test_figures_show_what_they_are_given():
    env = random_mdp(5)
    found = relatives.iterations(env, 5)
    (ax,) = relatives.draw_iterations(found, 1.0).axes
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), found.greedy)

    sets = {"one": RNG.normal(size=(4, 5)), "other": RNG.normal(size=(2, 5))}
    bounds = relatives.tolerances(sets, np.arange(5.0), [1, 4], [0.1, 1.0], 0.8)
    assert np.isnan(bounds["other"][:, 1]).all()
    one = transfer(sets["one"], np.arange(5.0), 1.0, 0.8).tolerance
    assert bounds["one"][1, 1] == one
    (ax,) = relatives.draw_tolerances(bounds, [1, 4], [0.1, 1.0], 3.2).axes
    assert len(ax.lines) == 5

    departs = relatives.Departures(np.array([0, 1]), np.ones((2, 3)), np.zeros((2, 3)))
    (ax,) = relatives.draw_departures(departs).axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "in the world",
        "in the model",
    ]

    loss = calibration.SampledLoss(1.0, 2.0, 3.0)
    q = np.array([0.0, 1.0])
    left, right = relatives.draw_calibration(0.3, q, q, q, {"it": loss}).axes
    np.testing.assert_allclose(left.lines[1].get_ydata()[[0, -1]], [0.3, 0.7])
    assert max(bar.get_y() + bar.get_height() for bar in right.patches) == loss.total

    world = relatives.crossing(again=False)
    laws = {
        name: returns.return_law(world, np.eye(2)[np.full(6, a)], 0, 2)
        for a, name in enumerate(world.action_names)
    }
    _, worst = relatives.draw_risk(laws, laws["ferry"]).axes
    ends = [line.get_ydata()[-1] for line in worst.lines]
    np.testing.assert_allclose(ends, [0.72, 0.9, 0.9])
    plt.close("all")
