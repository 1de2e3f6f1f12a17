"""The record: what it accepts, what it refuses and why, and how JAX goes through it."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import backups, central_difference, random_mdp, stochastic_policies

import pve

REWARD = [[1.0, 0.0], [0.0, 2.0]]
TRANSITION = [[[0.5, 0.5], [1.0, 0.0]], [[0.0, 1.0], [0.25, 0.75]]]


def altered(state, action, row):
    transition = np.array(TRANSITION)
    transition[state, action] = row
    return transition


ILLEGAL = {
    "row sum": (
        (REWARD, altered(1, 0, [0.4, 0.5]), 0.9),
        ValueError,
        ["transition[1, 0]", "sums to 0.9", "must sum to 1"],
    ),
    "nan probability": (
        (REWARD, altered(0, 1, [np.nan, 1.0]), 0.9),
        ValueError,
        ["transition[0, 1, 0]", "nan", "finite"],
    ),
    "negative probability": (
        (REWARD, altered(0, 1, [1.25, -0.25]), 0.9),
        ValueError,
        ["transition[0, 1, 1]", "-0.25", "[0, 1]"],
    ),
    "infinite reward": (
        ([[1.0, np.inf], [0.0, 2.0]], TRANSITION, 0.9),
        ValueError,
        ["reward[0, 1]", "inf", "finite"],
    ),
    "nan reward": (
        ([[1.0, 0.0], [np.nan, 2.0]], TRANSITION, 0.9),
        ValueError,
        ["reward[1, 0]", "nan", "finite"],
    ),
    "discount one": (
        (REWARD, TRANSITION, 1),
        ValueError,
        ["discount is 1", "[0, 1)", "no finite value", "such as 0.9999"],
    ),
    "mask of other shape": (
        (REWARD, TRANSITION, 0.9, [[True, False]]),
        ValueError,
        ["legal has shape [1, 2]", "[2, 2]"],
    ),
    "mask of numbers": (
        (REWARD, TRANSITION, 0.9, [[1, 0], [1, 1]]),
        TypeError,
        ["legal has dtype int", "true or false"],
    ),
    "no legal action": (
        ([[1.0, 0.0], [-np.inf, -np.inf]], TRANSITION, 0.9),
        ValueError,
        ["state 1 has no legal action", "at least one"],
    ),
    "start of other shape": (
        (REWARD, TRANSITION, 0.9, None, [1.0]),
        ValueError,
        ["start has shape [1]", "[2]"],
    ),
    "start no distribution": (
        (REWARD, TRANSITION, 0.9, None, [0.5, 0.4]),
        ValueError,
        ["start", "sums to 0.9"],
    ),
    "too few names": (
        (REWARD, TRANSITION, 0.9, None, None, ["here"]),
        ValueError,
        ["state_names has 1 names", "2"],
    ),
    "names twice": (
        (REWARD, TRANSITION, 0.9, None, None, None, ["go", "go"]),
        ValueError,
        ["action_names", "distinct"],
    ),
    "discount negative": (
        (REWARD, TRANSITION, -0.5),
        ValueError,
        ["discount is -0.5", "[0, 1)"],
    ),
    "discount nan": (
        (REWARD, TRANSITION, np.nan),
        ValueError,
        ["discount is nan", "[0, 1)"],
    ),
    "discount none": ((REWARD, TRANSITION, None), TypeError, ["None", "[0, 1)"]),
    "discount array": (
        (REWARD, TRANSITION, np.array([0.5, 0.5])),
        TypeError,
        ["discount", "[0, 1)"],
    ),
    "reward flat": (([1.0, 2.0], TRANSITION, 0.9), ValueError, ["[2]", "[S, A]"]),
    "reward empty": (
        (np.zeros((0, 2)), np.zeros((0, 2, 0)), 0.9),
        ValueError,
        ["[0, 2]", "S, A ≥ 1"],
    ),
    "transition of other shape": (
        ([[1.0], [0.0]], TRANSITION, 0.9),
        ValueError,
        ["[2, 2, 2]", "[2, 1, 2]"],
    ),
    "ragged": ((REWARD, [[[1.0], [1.0, 0.0]]], 0.9), TypeError, ["transition"]),
    "words": (("reward", TRANSITION, 0.9), TypeError, ["reward", "real numbers"]),
    "digits as words": (
        ([["1", "0"], ["0", "2"]], TRANSITION, 0.9),
        TypeError,
        ["reward", "real numbers"],
    ),
    "discount a word": ((REWARD, TRANSITION, "0.9"), TypeError, ["'0.9'", "[0, 1)"]),
    "complex array": (
        (np.array(REWARD) + 1j, TRANSITION, 0.9),
        TypeError,
        ["reward", "real numbers"],
    ),
    "complex": (([[1j, 0], [0, 0]], TRANSITION, 0.9), TypeError, ["reward", "real"]),
    "integers on the device": (
        (jnp.ones((2, 2), int), TRANSITION, 0.9),
        TypeError,
        ["reward", "int32", "floats"],
    ),
}


@pytest.mark.parametrize(("arguments", "error", "parts"), ILLEGAL.values(), ids=ILLEGAL)
def test_illegal_input_is_named_with_the_legal(arguments, error, parts):
    with pytest.raises(error) as caught:
        pve.MDP(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_rounded_rows_are_distributions():
    third = 0.333333
    transition = np.full((3, 2, 3), third)
    transition[2, 1] = [0.2, 0.8 + 2.8e-17, -2.8e-17]
    mdp = pve.MDP(np.eye(3)[:, :2], transition, 0.99)
    np.testing.assert_allclose(mdp.transition.sum(-1), 1, rtol=0, atol=1e-15)
    assert mdp.transition[2, 1].tolist() == [0.2, 0.8, 0]
    policy = np.full((3, 2), 0.5)
    value = pve.policy_value(mdp, policy)
    np.testing.assert_allclose(pve.bellman(mdp, policy, value), value, rtol=1e-14)
    assert float(pve.pve_loss(mdp, policy[None], value[None])) < 1e-8  # in float32
    with pytest.raises(ValueError, match=r"transition\[0, 0\] sums to 0.999; every row"):
        pve.MDP(np.eye(3)[:, :2], np.round(transition, 3), 0.99)


def test_exact_rows_stay_as_they_are(rooms):
    again = pve.MDP(rooms.mdp.reward, rooms.mdp.transition, 0.99)
    assert (again.transition == rooms.mdp.transition).all()


LEGAL = np.array([[True, False], [True, True]])


@pytest.mark.parametrize("by", ["mask", "reward", "both"])
def test_actions_that_are_not_legal(by):
    reward = np.array(REWARD)
    transition = altered(0, 1, [np.nan, 7.0])  # not looked at
    if by != "mask":
        reward[0, 1] = -np.inf
    mask = None if by == "reward" else LEGAL
    mdp = pve.MDP(reward, transition, 0.9, mask)
    assert mdp.legal.tolist() == LEGAL.tolist()
    assert mdp.reward.tolist() == [[1, 0], [0, 2]]
    assert mdp.transition[0, 1].tolist() == [1, 0]  # it stays


def test_all_legal_is_no_mask():
    assert pve.MDP(REWARD, TRANSITION, 0.9, np.ones((2, 2), bool)).legal is None


def test_jax_keeps_what_is_known_beside_the_numbers():
    mdp = pve.MDP(REWARD, TRANSITION, 0.9, LEGAL, [1, 0], ["a", "b"], ["stay", "go"])
    doubled = jax.jit(lambda m: jax.tree.map(lambda leaf: 2 * leaf, m))(mdp)
    assert doubled.legal is mdp.legal
    assert doubled.start.tolist() == [1, 0]
    assert doubled.state_names == ("a", "b")
    assert doubled.action_names == ("stay", "go")
    other = pve.MDP(REWARD, TRANSITION, 0.9)
    assert jax.tree.structure(mdp) == jax.tree.structure(doubled)
    assert jax.tree.structure(mdp) != jax.tree.structure(other)
    slope = jax.grad(lambda m: m.reward.sum())(jax.tree.map(jnp.asarray, mdp))
    assert (slope.reward == 1).all()


def test_lists_become_exact_arrays():
    mdp = pve.MDP(REWARD, TRANSITION, 0.9)
    assert (mdp.num_states, mdp.num_actions) == (2, 2)
    for array in (mdp.reward, mdp.transition):
        assert type(array) is np.ndarray
        assert array.dtype == np.float64
    np.testing.assert_array_equal(mdp.transition, TRANSITION)


def test_integers_become_floats():
    mdp = pve.MDP(np.array([[3]]), [[[1]]], 0)
    assert mdp.reward.dtype == np.float64
    assert isinstance(mdp.discount, float)


def test_device_arrays_stay():
    reward = jnp.array(REWARD)
    mdp = pve.MDP(reward, jnp.array(TRANSITION), 0.9)
    assert mdp.reward is reward
    assert mdp.transition.dtype == jnp.float32


def test_row_sums_of_single_precision_pass():
    logits = jax.random.normal(jax.random.key(0), (300, 2, 300)) * 5
    mdp = pve.MDP(jnp.zeros((300, 2)), jax.nn.softmax(logits), 0.9)
    assert mdp.num_states == 300


def test_record_cannot_be_changed():
    mdp = pve.MDP(REWARD, TRANSITION, 0.9)
    with pytest.raises(AttributeError):
        mdp.discount = 0.5


def test_expect_is_the_mean_of_the_next_value():
    mdp = random_mdp(0, 3, 2)
    values = np.random.default_rng(1).normal(size=(4, 5, 3))
    means = np.einsum("sat,xyt->xysa", mdp.transition, values)
    np.testing.assert_allclose(mdp.expect(values), means, rtol=0, atol=1e-14)
    with pytest.raises(ValueError, match=r"value has shape \[2\]; expected \[..., 3\]"):
        mdp.expect(np.zeros(2))


def test_pytree_keeps_and_names_the_three_leaves():
    mdp = random_mdp(0)
    leaves, structure = jax.tree_util.tree_flatten_with_path(mdp)
    names = [jax.tree_util.keystr(path) for path, _ in leaves]
    assert names == [".reward", ".transition", ".discount"]
    again = jax.tree.unflatten(structure, [leaf for _, leaf in leaves])
    assert again.reward is mdp.reward
    assert again.transition is mdp.transition
    assert again.discount == mdp.discount


def test_jit_takes_and_returns_it():
    mdp = random_mdp(2)

    @jax.jit
    def with_double_reward(mdp):
        return pve.MDP(2 * mdp.reward, mdp.transition, mdp.discount)

    doubled = with_double_reward(mdp)
    assert isinstance(doubled, pve.MDP)
    np.testing.assert_allclose(doubled.reward, 2 * mdp.reward, rtol=1e-6)


def test_shapes_are_checked_while_traced():
    @jax.jit
    def build(reward):
        return pve.MDP(reward, jnp.ones((2, 2, 3)), 0.9).reward

    with pytest.raises(ValueError, match=r"\[2, 2, 3\]; expected \[2, 2, 2\]"):
        build(jnp.ones((2, 2)))


def test_vmap_over_stacked_mdps():
    worlds = [random_mdp(seed, discount=0.1 * seed) for seed in range(4)]
    policies = stochastic_policies(0, 4)
    values = np.random.default_rng(0).normal(size=(4, 3))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *worlds)
    got = jax.vmap(pve.bellman)(stacked, policies, values)
    for world, policy, value, result in zip(worlds, policies, values, got, strict=True):
        np.testing.assert_allclose(
            result, backups(world, policy, value, 1), rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("leaf", ["reward", "transition", "discount"])
def test_grad_goes_through_every_leaf(leaf):
    mdp, policy = random_mdp(3), stochastic_policies(1, 1)[0]
    value = np.array([0.3, -1.0, 2.0])
    leaves = {name: getattr(mdp, name) for name in ("reward", "transition", "discount")}

    def total(x):
        return (pve.bellman(pve.MDP(**{**leaves, leaf: x}), policy, value) ** 2).sum()

    def total_by_loops(x):
        world = type("World", (), {**leaves, leaf: x})
        return (backups(world, policy, value, 1) ** 2).sum()

    direction = np.random.default_rng(0).normal(size=np.shape(leaves[leaf]))
    with jax.enable_x64(True):
        gradient = jax.grad(total)(jnp.asarray(leaves[leaf]))
        slope = float((gradient * direction).sum())
    expected = central_difference(total_by_loops, np.asarray(leaves[leaf]), direction)
    assert slope == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("ask", [pve.policy_iteration, pve.value_iteration])
@pytest.mark.parametrize("thing", [None, 3, [[0.5, 0.5]], np.eye(2)])
def test_what_is_no_mdp_is_refused(ask, thing):
    with pytest.raises(TypeError, match=r"mdp is a \w+; expected a pve\.MDP"):
        ask(thing)


def test_a_discount_without_digits_left_is_warned_of():
    with pytest.warns(UserWarning, match=r"discount is 1 − 1e-13: closer to 1 than 1 − 1e"):
        pve.MDP([[1.0]], [[[1.0]]], 1 - 1e-13)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pve.MDP([[1.0]], [[[1.0]]], 1 - 1e-11)


def test_a_discount_of_too_many_digits_is_refused():
    with pytest.raises(TypeError, match="discount is 1000"):
        pve.MDP([[1.0]], [[[1.0]]], 10**400)
