"""Training: bits that depend on nothing but the key, and models that come out right."""

import math
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import backup, deterministic_policies, random_mdp, stochastic_policies

import pve
from pve import threads
from pve.training.loop import Stopped, advance, boundaries, initial_state, run
from pve.training.objective import value_equivalence
from pve.training.problem import Data, Problem, make_data

ENV = random_mdp(0, 3, 2, 0.8)
MODEL = pve.SoftmaxModel()
RECIPE = pve.Recipe(steps=100, batch=4, learning_rate=1e-2, decay="cosine")
BATCH_KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def data():
    policies = pve.random_policies(jax.random.key(1), 60, 3, 2)
    return make_data(ENV, policies, None, math.inf)


def start(model=MODEL, recipe=RECIPE):
    return initial_state(jax.random.key(2), model, 3, 2, recipe)


def problem(data, model=MODEL, order=math.inf, recipe=RECIPE):
    return Problem(BATCH_KEY, data, model, value_equivalence(order), recipe, 0.8)


def advanced(state, data, length, **changes):
    return advance(state, problem(data, **changes), length)


def assert_same_bits(first, second):
    for x, y in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


# Bits -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "model"),
    [(3, pve.LowRankModel(2)), (math.inf, MODEL)],
    ids=str,
)
def test_bits_do_not_depend_on_where_chunks_end(data, order, model):
    settings = {"order": order, "model": model}
    first = start(model)
    whole, losses = advanced(first, data, 100, **settings)
    parts, some = first, []
    for length in (25, 25, 25, 25):
        # A state that was stored and read again is as good as one that never left.
        parts = jax.tree.map(np.array, parts)
        parts, few = advanced(parts, data, length, **settings)
        some.append(few)
    assert int(whole.step) == 100
    assert_same_bits(whole, parts)
    np.testing.assert_array_equal(losses, np.concatenate(some))


def whole_run(state, data, grid, **changes):
    return list(run(state, problem(data, **changes), grid=grid))


def test_grid_moves_the_ends_of_chunks_alone(data):
    fine, coarse = whole_run(start(), data, 25), whole_run(start(), data, 100)
    assert [int(state.step) for state, _ in fine] == [25, 50, 75, 100]
    assert [int(state.step) for state, _ in coarse] == [100]
    assert_same_bits(fine[-1][0], coarse[-1][0])
    np.testing.assert_array_equal(
        np.concatenate([losses for _, losses in fine]), coarse[0][1]
    )


def test_run_continues_from_any_chunk(data):
    whole = whole_run(start(), data, 25)
    rest = whole_run(whole[1][0], data, 25)
    assert len(rest) == 2
    assert_same_bits(rest[-1], whole[-1])


def test_boundaries_lie_at_absolute_steps():
    assert boundaries(0, 100, 50, 30) == [30, 50, 60, 90, 100]
    assert boundaries(55, 100, 50, 30) == [60, 90, 100]
    assert boundaries(100, 100, 50) == []
    assert boundaries(0, 7, 50) == [7]
    for order in (1, 30, 60, math.inf):
        chunk = value_equivalence(order).chunk
        assert boundaries(3, 10**4, chunk)[0] == chunk


def test_runs_do_not_depend_on_their_number():
    settings = {"num_policies": 20, "recipe": RECIPE, "order": 2}
    key = jax.random.key(3)
    three = pve.train(key, ENV, runs=3, **settings)
    two = pve.train(key, ENV, runs=2, **settings)
    assert_same_bits(three.models[:2], two.models)
    np.testing.assert_array_equal(three.losses[:2], two.losses)
    # Runs are independent of one another: other initial points, other data.
    assert not np.isclose(three.losses[0], three.losses[1]).any()


# Learning ---------------------------------------------------------------------------


def test_first_step_is_adams(data):
    state = start()
    after, losses = advanced(state, data, 1)
    rows = jax.random.randint(jax.random.fold_in(BATCH_KEY, 0), (4,), 0, 60)
    batch = [np.asarray(x, float)[np.asarray(rows)] for x in data]

    with jax.enable_x64(True):

        def loss(params):
            policies, values, targets = batch
            bound = MODEL.bind(params, 0.8)
            got = pve.bellman(bound, policies, values)
            return ((got - targets) ** 2).sum(-1).mean()

        exact = jax.tree.map(lambda x: jnp.asarray(np.asarray(x, float)), state.params)
        value, gradient = jax.value_and_grad(loss)(exact)
    assert float(losses[0]) == pytest.approx(float(value), rel=1e-5)
    for before, moved, slope in zip(
        state.params, after.params, map(np.asarray, gradient), strict=True
    ):
        first, second = 0.1 * slope, 0.001 * slope**2
        step = (first / (1 - 0.9)) / (np.sqrt(second / (1 - 0.999)) + 1e-8)
        expected = np.asarray(before, float) - 1e-2 * step
        large = np.abs(slope) > 1e-4 * np.abs(slope).max()  # beyond float32's noise
        np.testing.assert_allclose(
            np.asarray(moved)[large], expected[large], rtol=0, atol=2e-6
        )


@pytest.mark.parametrize("step", [0, 75, 12_345])
def test_batches_depend_on_the_step_alone(data, step):
    state = start()._replace(step=jnp.int32(step))
    _, losses = advanced(state, data, 1)
    rows = jax.random.randint(jax.random.fold_in(BATCH_KEY, step), (4,), 0, 60)
    policies, values, targets = (np.asarray(x, float)[np.asarray(rows)] for x in data)
    first = MODEL.mdp(state.params, 0.8)
    model = pve.MDP(np.asarray(first.reward), np.asarray(first.transition), 0.8)
    got = np.array([backup(model, *pair) for pair in zip(policies, values, strict=True)])
    expected = ((got - targets) ** 2).sum(-1).mean()
    assert float(losses[0]) == pytest.approx(expected, rel=1e-5)


def test_cosine_falls_to_rest_and_constant_does_not():
    # On a constant gradient Adam's step is the learning rate.
    taken = {}
    for decay in ("cosine", "constant"):
        optimiser = pve.Recipe(3, learning_rate=1e-2, decay=decay).optimiser()
        state, gradient = optimiser.init(np.zeros(1)), np.ones(1)
        taken[decay] = []
        for _ in range(3):
            update, state = optimiser.update(gradient, state)
            taken[decay].append(-float(update[0]))
    # The cosine's share is (1 + cos(π i / 3)) / 2 at step i.
    np.testing.assert_allclose(taken["cosine"], [0.01, 0.0075, 0.0025], rtol=1e-4)
    np.testing.assert_allclose(taken["constant"], [0.01, 0.01, 0.01], rtol=1e-4)


@pytest.mark.parametrize("order", [3, math.inf])
def test_training_finds_the_environment_where_the_class_is_a_point(order):
    # The policies' values determine the model of three states, see test_theory; at a
    # finite order random functions do.
    env = random_mdp(1, 3, 2, 0.8)
    recipe = pve.Recipe(8000, batch=16, learning_rate=3e-2, decay="cosine")
    trained = pve.train(
        jax.random.key(0), env, order=order, num_policies=500, recipe=recipe
    )
    (model,) = trained.models
    assert trained.losses.shape == (1, 8000)
    assert trained.losses[0, 0] > 0.1
    assert trained.losses[0, -100:].mean() < 1e-5
    np.testing.assert_allclose(model.reward, env.reward, rtol=0, atol=0.02)
    np.testing.assert_allclose(model.transition, env.transition, rtol=0, atol=0.02)
    assert model.discount == 0.8


def test_given_policies_and_values_are_what_is_trained_on():
    policies = deterministic_policies(3, 2)
    values = np.random.default_rng(0).uniform(-1, 1, (8, 3))
    recipe = pve.Recipe(1, batch=4096, learning_rate=1e-3)
    trained = pve.train(
        jax.random.key(0), ENV, policies=policies, values=values, order=2, recipe=recipe
    )
    params = MODEL.init(jax.random.split(jax.random.fold_in(jax.random.key(0), 0), 4)[0],
                        3, 2)  # fmt: skip
    first = MODEL.mdp(params, 0.8)
    exact = pve.MDP(np.asarray(first.reward, float), np.asarray(first.transition, float),
                    0.8)  # fmt: skip
    expected = pve.ve_loss(exact, ENV, policies, values, 2)
    # A batch of thousands out of eight pairs: the loss within its sampling error.
    assert trained.losses[0, 0] == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("order", [1, 4])
def test_targets_are_the_environments_powers(order):
    policies = stochastic_policies(0, 30)
    values = np.random.default_rng(0).normal(size=(30, 3))
    made = make_data(ENV, policies, values, order)
    assert [x.dtype for x in made] == [np.float32] * 3
    expected = pve.bellman_power(ENV, policies, values, order)
    np.testing.assert_allclose(made.targets, expected, rtol=0, atol=1e-5)


def test_targets_at_order_infinity_are_exact_values():
    policies = stochastic_policies(1, 30)
    made = make_data(ENV, policies, None, math.inf)
    expected = pve.policy_value(ENV, policies).astype(np.float32)
    np.testing.assert_array_equal(made.values, expected)
    np.testing.assert_array_equal(made.targets, expected)


# Ends -------------------------------------------------------------------------------


def test_loss_that_is_no_number_stops_the_run(data):
    broken = Data(data.policies, data.values, data.targets.at[:, 0].set(jnp.nan))
    with pytest.raises(FloatingPointError, match="the loss is nan at step 0"):
        whole_run(start(), broken, 100)


def test_diverging_loss_names_its_step(data):
    recipe = pve.Recipe(100, batch=4, learning_rate=1e20)
    with pytest.raises(FloatingPointError, match=r"the loss is (inf|nan) at step [1-9]"):
        whole_run(start(recipe=recipe), data, 100, recipe=recipe)


def test_stop_ends_a_run_between_chunks(data):
    stop = threading.Event()
    chunks = run(start(), problem(data), grid=25, stop=stop)
    state, _ = next(chunks)
    stop.set()
    with pytest.raises(Stopped):
        next(chunks)
    assert int(state.step) == 25


def test_error_in_one_thread_is_raised():
    def fail_at_two(item):
        if item == 2:
            raise ArithmeticError("two")
        return item

    assert threads.side_by_side(fail_at_two, [0, 1]) == [0, 1]
    with pytest.raises(ArithmeticError, match="two"):
        threads.side_by_side(fail_at_two, [0, 1, 2, 3])


# Recipes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps is 0; expected an integer ≥ 1"),
        ({"steps": 1.5}, TypeError, "steps is 1.5; expected"),
        ({"steps": True}, TypeError, "steps is True; expected"),
        ({"batch": -2}, ValueError, "batch is -2; expected"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate is 0.0; expected a number"),
        ({"learning_rate": True}, ValueError, "learning_rate is True; expected"),
        ({"learning_rate": math.inf}, ValueError, "learning_rate is inf; expected"),
        ({"learning_rate": math.nan}, ValueError, "learning_rate is nan; expected"),
        (
            {"decay": "linear"},
            ValueError,
            "decay is 'linear'; expected one of 'constant', 'cosine'",
        ),
    ],
)
def test_illegal_recipes(arguments, error, message):
    with pytest.raises(error, match=message):
        pve.Recipe(**{"steps": 10, **arguments})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"order": 0}, ValueError, "order is 0; expected"),
        ({"order": 2.5}, ValueError, "order is 2.5; expected"),
        ({"runs": 0}, ValueError, "runs is 0; expected"),
        ({"kind": "none"}, ValueError, "kind is 'none'; expected"),
        ({"num_policies": 0}, ValueError, "num is 0; expected"),
        ({"model": pve.LowRankModel(4)}, ValueError, "rank is 4; expected .* 1 to 3"),
        ({"values": np.zeros((2, 3))}, ValueError, "values without policies"),
        (
            {"policies": np.full((2, 3, 3), 1 / 3)},
            ValueError,
            r"policy has shape \[2, 3, 3\]; expected",
        ),
        (
            {"policies": np.full((3, 2), 1 / 2)},
            ValueError,
            r"policies has shape \[3, 2\]; expected \[P, 3, 2\]",
        ),
        (
            {"policies": np.zeros((0, 3, 2))},
            ValueError,
            r"policies has shape \[0, 3, 2\]; expected \[P, 3, 2\] with P ≥ 1",
        ),
        ({"recipe": {}}, TypeError, "recipe is {}; expected a pve.Recipe"),
        (
            {"policies": np.full((2, 3, 2), 1 / 2), "values": np.zeros((1, 3))},
            ValueError,
            r"values has shape \[1, 3\]; expected \[2, 3\] with these policies",
        ),
    ],
)
def test_illegal_training(arguments, error, message):
    settings = {"recipe": RECIPE, "num_policies": 5, **arguments}
    with pytest.raises(error, match=message):
        pve.train(jax.random.key(0), ENV, **settings)


def test_training_on_legal_actions():
    mdp = random_mdp(0, 3, 2)
    legal = np.array([[True, False], [True, True], [False, True]])
    env = pve.MDP(
        mdp.reward, mdp.transition, mdp.discount, legal, [1, 0, 0], ["x", "y", "z"]
    )
    recipe = pve.Recipe(600, 10, 3e-2, "cosine")
    for order in (2, math.inf):
        trained = pve.train(
            jax.random.key(0), env, order=order, recipe=recipe, num_policies=200
        )
        assert trained.losses[0, -1] < 0.1 * trained.losses[0, 0]
        model = trained.models[0]
        assert (model.legal == legal).all()
        assert model.state_names == ("x", "y", "z")
        assert legal[pve.policy_iteration(model)[1].astype(bool)].all()
    with pytest.raises(ValueError, match=r"action 1 is not allowed in state 0"):
        pve.train(jax.random.key(0), env, policies=np.full((1, 3, 2), 0.5))
