"""Sparse worlds: the same answers as dense ones, and right ones where none would fit."""

import time
import tracemalloc

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import long_run_value, rational_optimum, seeds, stochastic_policies
from scipy import sparse

import pve
from pve.mdp import krylov
from pve.mdp.planning import best_actions, performance_limits
from pve.mdp.sparse import LARGEST_DENSE


def random_rows(random, states, actions, successors):
    """Distributions on a few states anywhere, `[S A, S]`."""
    columns = random.integers(states, size=(states * actions, successors))
    chances = random.dirichlet(np.ones(successors), states * actions)
    ends = np.arange(0, columns.size + 1, successors)
    shape = states * actions, states
    return sparse.csr_array((chances.ravel(), columns.ravel(), ends), shape)


def random_world(seed, states=30, actions=3, successors=2, discount=0.9, **known):
    random = np.random.default_rng(seed)
    rows = random_rows(random, states, actions, successors)
    reward = random.uniform(-1, 1, (states, actions))
    return pve.SparseMDP(reward, rows, discount, **known)


def masked(seed, **sizes):
    random, world = np.random.default_rng(seed), random_world(seed, **sizes)
    legal = random.random(world.reward.shape) < 0.5
    legal[np.arange(len(legal)), random.integers(legal.shape[1], size=len(legal))] = True
    return pve.SparseMDP(world.reward, world.rows, world.discount, legal)


# The value of a policy ---------------------------------------------------------------


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("discount", [0.0, 0.9, 0.999999, 1 - 1e-9])
def test_a_value_chosen_beforehand_is_found(local, discount):
    """Of v the reward is v − γ P v; whatever chain and v, the value must be v."""
    random = np.random.default_rng(0)
    chain = random_rows(random, 400, 1, 5)
    value = random.normal(size=400) + (1 / (1 - discount) if discount < 1 else 0)
    # (1 − γ) v + γ (v − P v): the differences keep their digits.
    rises = np.array([
        chain.data[a:b] @ (value[chain.indices[a:b]] - v)
        for v, a, b in zip(value, chain.indptr, chain.indptr[1:], strict=False)
    ])  # fmt: skip
    reward = (1 - discount) * value - discount * rises
    found = krylov.chain_value(chain, reward, discount, local=local)
    # The reward's rounding is felt 1 / (1 − γ) times, the chain's likewise.
    np.testing.assert_allclose(found, value, atol=1e-14 / (1 - discount) + 1e-12)


@given(seeds, st.sampled_from([0.5, 0.99]))
def test_values_of_policies(seed, discount):
    world = random_world(seed, discount=discount)
    policies = stochastic_policies(seed, 3, 30, 3)
    values = pve.policy_value(world, policies)
    for policy, value in zip(policies, values, strict=True):
        expected = long_run_value(world.dense(), policy)
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-11)
    again = pve.policy_value(world, policies.reshape(3, 1, 30, 3))
    assert (again[:, 0] == values).all()


def test_a_chain_that_mixes_slowly_is_eliminated():
    """A walk along a line, one step to the right at a time, paid at the end alone."""
    states, discount = 1500, 0.9999
    right = np.eye(states, k=1)
    right[-1, -1] = 1
    right = sparse.csr_array(right)
    reward = np.zeros(states)
    reward[-1] = 1
    assert krylov._by_gmres(right, reward, discount) is None
    expected = discount ** np.arange(states - 1.0, -1, -1) / (1 - discount)
    for local in (True, False):
        found = krylov.chain_value(right, reward, discount, local=local)
        np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_a_map_is_local_and_moves_to_anywhere_are_not():
    size = 60
    cell = np.arange(size**2).reshape(size, size)
    right = np.roll(cell, -1, 1).ravel(), np.roll(cell, -1, 0).ravel()
    ones = np.ones(2 * size**2)
    rows = np.tile(np.arange(size**2), 2)
    moves = sparse.csr_array((ones, (rows, np.concatenate(right))))
    assert krylov.moves_are_local(moves)
    shuffled = np.random.default_rng(0).permutation(size**2)
    assert krylov.moves_are_local(sparse.csr_array(moves[shuffled][:, shuffled]))
    to_an_end = moves.tolil()
    to_an_end[:, 7] = 1  # every state may end there
    assert krylov.moves_are_local(sparse.csr_array(to_an_end))
    anywhere = random_rows(np.random.default_rng(0), 2000, 1, 4)
    assert not krylov.moves_are_local(anywhere)


def test_costs_elsewhere_leave_the_digits_of_small_values():
    """Half the states keep to themselves; the others lead to them and cost 1e12."""
    random = np.random.default_rng(0)
    alone = random_rows(random, 300, 1, 4)
    others = random_rows(random, 600, 1, 4)[300:]
    resized = sparse.csr_array((alone.data, alone.indices, alone.indptr), (300, 600))
    chain = sparse.csr_array(sparse.vstack([resized, others]))
    reward = random.uniform(-1, 1, 600) * np.where(np.arange(600) < 300, 1, 1e12)
    expected = krylov.chain_value(alone, reward[:300], 0.99, local=True)
    for local in (True, False):
        found = krylov.chain_value(chain, reward, 0.99, local=local)[:300]
        np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_five_thousand_states_take_a_moment_and_little_memory():
    world = random_world(0, 5000, 4, 5, 0.99)
    policy = pve.uniform_policy(world)
    seconds = []
    for _ in range(3):
        begun = time.process_time()
        value = pve.policy_value(world, policy)
        seconds.append(time.process_time() - begun)
    assert min(seconds) < 1
    tracemalloc.start()
    pve.policy_value(random_world(0, 5000, 4, 5, 0.99), policy)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500e6
    np.testing.assert_allclose(pve.bellman(world, policy, value), value, atol=1e-13)


# Plans -------------------------------------------------------------------------------


@pytest.mark.parametrize("states", [200, 3000])
def test_an_optimum_chosen_beforehand_is_found(states):
    """Of v and a plan: every other action is worth less by a chosen regret."""
    random = np.random.default_rng(1)
    rows = random_rows(random, states, 4, 5)
    value, plan = random.normal(size=states), random.integers(4, size=states)
    regret = random.uniform(1e-9, 1, (states, 4))
    regret[np.arange(states), plan] = 0
    reward = value[:, None] - 0.95 * (rows @ value).reshape(states, 4) - regret
    world = pve.SparseMDP(reward, rows, 0.95)
    for found, policy, atol in (
        (*pve.policy_iteration(world), 1e-12),
        (*pve.value_iteration(world, 1e-11), 1e-10),
    ):
        np.testing.assert_allclose(found, value, rtol=0, atol=atol)
        assert (policy.argmax(-1) == plan).all()
    assert pve.performance(world, world) == pytest.approx(value.mean(), abs=1e-12)


@given(seeds, st.sampled_from([0.5, 0.99, 1 - 1e-8]))
def test_plans_with_masks_against_rational_numbers(seed, discount):
    world = masked(seed, states=5, actions=3, discount=discount)
    dense = world.dense()
    _, optimal = rational_optimum(dense)
    for value, policy in (pve.policy_iteration(world), pve.policy_iteration(dense)):
        assert optimal[policy.astype(bool)].all()
        np.testing.assert_allclose(
            value, long_run_value(dense, policy), rtol=1e-13 / (1 - discount)
        )


def test_penalties_hide_nothing():
    rows = sparse.csr_array(np.array([[1, 0], [0, 1], [0, 1], [0, 1]]))
    world = pve.SparseMDP([[0, 1], [0, -1e8]], rows, 0.99)
    value, policy = pve.policy_iteration(world)
    assert value.tolist() == [1, 0]
    assert policy.argmax(-1).tolist() == [1, 0]
    assert pve.performance(world, world) == 0.5


def test_ties_go_to_the_lowest_action():
    row = np.array([0.25, 0.75])
    world = pve.SparseMDP(
        [[0, 1, 1], [2, 2, 2]], sparse.csr_array(np.tile(row, (6, 1))), 0.9
    )
    for policy in (pve.policy_iteration(world)[1], pve.greedy_policy(world, np.zeros(2))):
        assert policy.argmax(-1).tolist() == [1, 0]
    assert best_actions(world, np.zeros(2)).tolist() == [[False, True, True], [True] * 3]


# The same as a dense world ------------------------------------------------------------


@pytest.mark.parametrize("make", [random_world, masked])
def test_operators_are_those_of_the_dense_world(make):
    world = make(3)
    dense = world.dense()
    legal = np.ones((30, 3), bool) if world.legal is None else world.legal
    policies = np.asarray(pve.random_policies(jax.random.key(0), 4, 30, 3, legal=legal))
    policies = policies.astype(float) / policies.sum(-1, keepdims=True, dtype=float)
    values = np.random.default_rng(0).normal(size=(4, 30))
    for got, expected in (
        (world.expect(values), dense.expect(values)),
        (pve.bellman(world, policies, values), pve.bellman(dense, policies, values)),
        (
            pve.bellman_power(world, policies, values, 7),
            pve.bellman_power(dense, policies, values, 7),
        ),
        (pve.bellman_optimality(world, values), pve.bellman_optimality(dense, values)),
        (performance_limits(world), performance_limits(dense)),
        (pve.uniform_policy(world), pve.uniform_policy(dense)),
    ):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
    key = jax.random.key(1)
    paths = [pve.improvement_policies(key, each, 6, 2) for each in (world, dense)]
    assert (paths[0] == paths[1]).all()
    start = np.eye(30)[4]
    model = random_world(8).dense()
    assert pve.performance(model, world, start=start) == pytest.approx(
        pve.performance(model, dense, start=start)
    )


@pytest.mark.parametrize("order", [np.inf, 1, 3])
def test_training_is_that_on_the_dense_world(order):
    world = masked(0, states=12)
    recipe = pve.Recipe(30, batch=4, learning_rate=1e-2)
    losses = [
        pve.train(
            jax.random.key(0), env, pve.LowRankModel(3), order, num_policies=20,
            recipe=recipe,
        )
        for env in (world, world.dense())
    ]  # fmt: skip
    np.testing.assert_allclose(losses[0].losses, losses[1].losses, rtol=1e-4)
    assert losses[0].losses[0, -1] < losses[0].losses[0, 0]
    assert (losses[0].models[0].legal == world.legal).all()


# Where they come from ----------------------------------------------------------------


def same(world, dense):
    assert isinstance(world, pve.SparseMDP)
    assert isinstance(dense, pve.MDP)
    again = world.dense()
    np.testing.assert_allclose(again.reward, dense.reward, atol=1e-15)
    np.testing.assert_allclose(again.transition, dense.transition, atol=1e-15)
    for name in ("legal", "start"):
        mine, other = getattr(again, name), getattr(dense, name)
        assert (mine is None) == (other is None)
        assert mine is None or (mine == other).all()
    for name in ("discount", "state_names", "action_names"):
        assert getattr(again, name) == getattr(dense, name)


def test_arrays_in_all_layouts():
    random, dense = np.random.default_rng(0), random_world(0, 6, 2).dense()
    first = [sparse.csr_matrix(dense.transition[:, a]) for a in range(2)]
    by_state = [sparse.coo_array(matrix) for matrix in dense.transition]
    gains = random.normal(size=(6, 2, 6))
    gain_matrices = [sparse.csr_array(gains[:, a]) for a in range(2)]
    known = {"start": np.eye(6)[2], "state_names": "abcdef", "action_names": "xy"}
    known = {k: list(v) for k, v in known.items()}
    for reward, transition, layout in (
        (dense.reward, first, None),
        (dense.reward[:, 0], first, "ASS"),
        (dense.reward, by_state, "SAS"),
        (dense.reward, dense.transition, None),
        (gain_matrices, first, None),
        (np.where(random.random((6, 2)) < 0.2, -np.inf, dense.reward), first, None),
    ):
        both = [
            pve.from_arrays(reward, transition, 0.9, layout=layout, sparse=s, **known)
            for s in (True, False)
        ]
        same(*both)
    pairs = np.arange(6).repeat(2)[:11], np.tile([0, 1], 6)[:11]
    rows = sparse.csr_array(dense.transition.reshape(12, 6)[:11])
    for matrix in (rows, rows.toarray()):
        both = [
            pve.from_arrays(dense.reward.ravel()[:11], matrix, 0.9, pairs=pairs, sparse=s)
            for s in (True, False)
        ]
        same(*both)
    assert not both[0].legal[5, 1]


def test_tables():
    table = {
        "work": {"rest": [(1, "home", 1)], "on": [(0.9, "work", 2), (0.1, "ill", -5)]},
        "ill": {"rest": [(0.5, "home", 0, True), (0.5, "ill", 1)]},
        "home": {},
    }
    both = [pve.from_table(table, 0.9, start={"work": 1}, sparse=s) for s in (True, False)]
    same(*both)
    same(*(pve.from_gymnasium("Taxi-v4", 0.9, sparse=s) for s in (True, False)))


def test_what_is_sparse_and_large_stays_sparse():
    small = random_world(0, 50, 2)
    actions = [small.rows[a::2] for a in range(2)]
    assert isinstance(pve.from_arrays(small.reward, actions, 0.9), pve.MDP)
    states = 1 + int((LARGEST_DENSE / 2) ** 0.5)
    ring = sparse.csr_array(np.roll(np.eye(states), 1, 1))
    large = pve.from_arrays(np.ones(states), [ring, ring], 0.9)
    assert isinstance(large, pve.SparseMDP)
    np.testing.assert_allclose(pve.policy_iteration(large)[0], 10)
    steps = [[[(1, (s + 1) % states, 1.0)]] * 2 for s in range(states)]
    found = pve.from_table(steps, 0.9)
    assert isinstance(found, pve.SparseMDP)
    assert (found.rows != large.rows).nnz == 0


def test_rounded_rows_are_distributions():
    rows = np.full((6, 3), 0.333333)
    rows[5] = [0.2, 0.8 + 2.8e-17, -2.8e-17]
    world = pve.SparseMDP(np.zeros((3, 2)), sparse.csr_array(rows), 0.99)
    np.testing.assert_allclose(world.rows.sum(1), 1, rtol=0, atol=1e-15)
    assert world.rows.toarray()[5].tolist() == [0.2, 0.8, 0]


def test_saved_and_loaded(tmp_path):
    plain, known = random_world(0), masked(1, states=4)
    known = pve.SparseMDP(
        known.reward, known.rows, 0.5, known.legal, np.eye(4)[1], list("abcd"), list("xyz")
    )
    for world in (plain, known):
        world.save(tmp_path / "world.npz")
        again = pve.SparseMDP.load(tmp_path / "world.npz")
        assert (again.rows != world.rows).nnz == 0
        same(again, world.dense())
    with np.load(tmp_path / "world.npz") as stored:
        fields = dict(stored)
    for changed, message in (
        ({"indices": fields["indices"] + 4}, "is no sparse MDP: "),
        ({"indptr": fields["indptr"][:-1]}, "is no sparse MDP: "),
        ({"data": 0.5 * fields["data"]}, "sums to 0.5"),
        ({"more": np.ones(1)}, "it holds 'more'; expected .* reward, discount, data"),
    ):
        np.savez(tmp_path / "other.npz", **(fields | changed))
        with pytest.raises(ValueError, match=message):
            pve.SparseMDP.load(tmp_path / "other.npz")
    with pytest.raises(ValueError, match="it holds no 'transition'"):
        pve.MDP.load(tmp_path / "world.npz")


GOOD = random_world(0, 2, 2)
WRONG = {
    "no matrix": ({"rows": GOOD.rows.toarray()}, TypeError, "rows is a ndarray; expected"),
    "reward flat": ({"reward": [1, 2]}, ValueError, r"reward has shape \[2\]; expected"),
    "shape": (
        {"reward": np.ones((2, 3))},
        ValueError,
        r"rows has shape \[4, 2\]; expected .*6",
    ),
    "sum": ({"rows": 0.9 * GOOD.rows}, ValueError, r"transition\[0, 0\] sums to 0.9"),
    "negative": (
        {"rows": sparse.csr_array([[1, 0], [1, 0], [2, -1], [0, 1]])},
        ValueError,
        r"transition\[1, 0, 1\] is -1; expected a probability",
    ),
    "empty row": (
        {"rows": sparse.csr_array([[1, 0], [1, 0], [1, 0], [0, 0]])},
        ValueError,
        r"transition\[1, 1\] sums to 0; every row",
    ),
    "nan": (
        {"reward": [[0, np.nan], [0, 0]]},
        ValueError,
        r"reward\[0, 1\] is nan; expected",
    ),
    "words": ({"reward": "reward"}, TypeError, "reward is not an array of real numbers"),
    "discount": ({"discount": 1}, ValueError, "discount is 1; expected a number in"),
    "none legal": (
        {"legal": np.array([[False, False], [True, True]])},
        ValueError,
        "state 0 has no legal action",
    ),
    "start": ({"start": [1.0]}, ValueError, r"start has shape \[1\]; expected \[2\]"),
    "names": ({"state_names": ["a"]}, ValueError, "state_names has 1 names; expected 2"),
}


@pytest.mark.parametrize(("given", "error", "message"), WRONG.values(), ids=WRONG)
def test_illegal_input_is_named_with_the_legal(given, error, message):
    fields = {"reward": GOOD.reward, "rows": GOOD.rows, "discount": 0.9} | given
    with pytest.raises(error, match=message):
        pve.SparseMDP(**fields)


def test_rewards_whose_values_fit_no_number_are_refused():
    stay, message = [sparse.eye_array(1)], r"as large as 1e\+307: .* at most 2e\+305"
    with pytest.raises(ValueError, match=message):
        pve.from_arrays([[-1e307]], stay, 0.99, sparse=True)
    with pytest.raises(ValueError, match=message):
        pve.from_table([[[(1, 0, 1e307)]]], sparse=True)
    value, _ = pve.policy_iteration(pve.from_table([[[(1, 0, -1e305)]]], sparse=True))
    assert value[0] == pytest.approx(-1e307)


def test_what_a_sparse_world_cannot_is_said():
    with pytest.raises(TypeError, match=r"traced by JAX; a SparseMDP expects"):
        jax.jit(GOOD.expect)(np.ones(2))
    with pytest.raises(TypeError, match=r"traced by JAX; a SparseMDP expects"):
        jax.jit(lambda policy: pve.policy_value(GOOD, policy))(np.full((2, 2), 0.5))
    with pytest.raises(ValueError, match=r"order is inf; expected .* pve.policy_value"):
        pve.bellman_power(GOOD, np.full((2, 2), 0.5), np.ones(2), np.inf)
    with pytest.raises(ValueError, match=r"policy has shape \[3, 2\]; expected"):
        pve.policy_value(GOOD, np.full((3, 2), 0.5))
    with pytest.raises(ValueError, match=r"shape \[2, 2\]; expected .*\[30, 3\]"):
        pve.performance(GOOD, random_world(0))
    with pytest.raises(TypeError, match=r"sparse is 1; expected True, False or None"):
        pve.from_table([[[(1, 0, 0)]]], sparse=1)
