"""Train models of any MDP, side by side on all cores."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pve.checks import (
    Array,
    check_order,
    check_policies,
    check_positive_integer,
    check_takes_legal,
    check_value_shape,
)
from pve.defaults import jax_defaults
from pve.equivalence.models import Model, SoftmaxModel
from pve.equivalence.policies import random_functions, random_policies
from pve.mdp.bellman import bellman_power
from pve.mdp.core import KNOWN, MDP
from pve.mdp.planning import policy_value
from pve.mdp.sparse import SparseMDP
from pve.threads import side_by_side
from pve.training.forecast import announce, forecast
from pve.training.loop import fit, initial_state
from pve.training.objective import value_equivalence
from pve.training.problem import Data, Problem, Recipe, make_data


class Trained(NamedTuple):
    """What `train` returns.

    Attributes:
      models: the trained models, an MDP each, with the environment's legal actions, start
        and names.
      losses: ``[N, steps]``, the batch loss before each step.
    """

    models: list[MDP]
    losses: np.ndarray


@jax_defaults()
def train(
    key: Array,
    env: MDP | SparseMDP,
    model: Model | None = None,
    order: int | float = math.inf,
    *,
    runs: int = 1,
    policies: Array | None = None,
    values: Array | None = None,
    num_policies: int = 10_000,
    kind: str = "mixed",
    recipe: Recipe | None = None,
) -> Trained:
    """Train models of an MDP by value equivalence, side by side on all cores.

    Args:
      key: a JAX key; run i draws from ``fold_in(key, i)``, whatever ``runs`` is.
      env: the environment, an MDP or a `pve.SparseMDP`.
      model: the family of models; None for `SoftmaxModel`.
      order: k = 1, 2, … or ``math.inf`` for proper value equivalence.
      runs: N, models from independent initial points and data.
      policies: ``[P, S, A]`` to train on; None draws ``num_policies`` random ones of the
        given ``kind``, anew for each run.
      values: ``[P, S]``, functions to train on, with ``policies`` only; None takes the
        policies' exact values at order ∞ and draws U(−1, 1) functions otherwise.
      num_policies: see ``policies``.
      kind: see ``policies``.
      recipe: how to train; None for ``Recipe(steps=10_000)`` with Adam at 1e-2, cosine.

    Returns:
      The models and their losses.

    Raises:
      ValueError: an argument is out of range; the message names the legal values.
      TypeError: an argument is of the wrong type.
      FloatingPointError: a loss became infinite or NaN.

    Warns:
      UserWarning: the forecast is over ten minutes or 8 GB; it says how much of which, and
        what would take less, before anything long begins.

    >>> import jax, pve
    >>> env = pve.MDP([[1.0, 0.0], [0.0, 2.0]], [[[0, 1], [1, 0]], [[1, 0], [0, 1]]], 0.9)
    >>> recipe = pve.Recipe(steps=2000, learning_rate=1e-2, decay="cosine")
    >>> trained = pve.train(jax.random.key(0), env, recipe=recipe, num_policies=100)
    >>> bool(trained.losses[0, -1] < 0.01 * trained.losses[0, 0])
    True
    """
    objective = value_equivalence(order)
    order = check_order(order)
    check_positive_integer("runs", runs)
    model = SoftmaxModel() if model is None else model
    if recipe is None:
        recipe = Recipe(10_000, learning_rate=1e-2, decay="cosine")
    if not isinstance(recipe, Recipe):
        raise TypeError(f"recipe is {recipe!r}; expected a pve.Recipe, or None")
    num_states, num_actions = env.num_states, env.num_actions
    if policies is not None:
        check_policies(policies, num_states, num_actions)
        check_takes_legal(policies, env.legal)
        if np.ndim(policies) != 3 or len(policies) == 0:
            raise ValueError(
                f"policies has shape {list(np.shape(policies))}; expected "
                f"[P, {num_states}, {num_actions}] with P ≥ 1"
            )
    if values is not None:
        if policies is None:
            raise ValueError("values without policies; give both or none")
        check_value_shape(values, num_states)
        if np.shape(values)[:-1] != np.shape(policies)[:1]:
            raise ValueError(
                f"values has shape {list(np.shape(values))}; expected "
                f"[{len(policies)}, {num_states}] with these policies"
            )

    num = num_policies if policies is None else len(policies)
    expected = forecast(
        env,
        model,
        order,
        runs=runs,
        num_policies=num,
        solved=order == math.inf and values is None,
        recipe=recipe,
    )
    announce(expected, num, recipe)

    @jax_defaults()
    def one(index: int) -> tuple[MDP, np.ndarray]:
        keys = jax.random.split(jax.random.fold_in(key, index), 4)
        init_key, policy_key, value_key, batch_key = keys
        chosen = policies
        if chosen is None:
            chosen = random_policies(
                policy_key, num_policies, num_states, num_actions, kind, legal=env.legal
            )
        functions = values
        if functions is None and order != math.inf:
            functions = random_functions(value_key, len(chosen), num_states)
        data = _data(env, chosen, functions, order)
        state = initial_state(init_key, model, num_states, num_actions, recipe)
        problem = Problem(batch_key, data, model, objective, recipe, float(env.discount))
        state, losses = fit(state, problem)
        found = model.mdp(state.params, float(env.discount))
        known = {name: getattr(env, name) for name in KNOWN}
        return dataclasses.replace(found, **known), losses

    finished = side_by_side(one, list(range(runs)))
    return Trained([m for m, _ in finished], np.stack([ls for _, ls in finished]))


def _data(
    env: MDP | SparseMDP, policies: Array, values: Array | None, order: int | float
) -> Data:
    """What a run trains on; for a sparse world all its targets are computed here."""
    if isinstance(env, MDP):
        return make_data(env, policies, values, order)
    if order == math.inf:
        values = policy_value(env, policies) if values is None else values
        targets = values
    else:
        targets = bellman_power(env, policies, values, int(order))
    return Data(*(jnp.asarray(x, jnp.float32) for x in (policies, values, targets)))
