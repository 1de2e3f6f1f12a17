r"""Baselines: other losses to train a model by, and one compiled loop for all of them.

*Maximum likelihood* knows nothing of values. With every state and action equally often,
the cross entropy of the transitions and the squared error of the reward are

.. math:: \ell_{\text{ML}}(\tilde m) = \frac1{SA} \sum_{s, a} \Bigl[
   - \sum_{s'} p(s' \mid s, a) \log \tilde p(s' \mid s, a)
   + \bigl( \tilde r(s, a) - r(s, a) \bigr)^2 \Bigr] .

The *value error* is what the losses of order :math:`k` tend to,

.. math:: \ell_{\text{V}}(\tilde m) = \frac1B \sum_{b=1}^B \sum_s
   \bigl[ \tilde v_{\pi_b}(s) - v_{\pi_b}(s) \bigr]^2, \qquad
   \tilde v_\pi = (I - \gamma \tilde P_\pi)^{-1}\, \tilde r_\pi ,

one linear system per policy, and one with the transposed matrix for its derivative. Both
need the model's transitions formed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pve.mdp import MDP, Array
from pve.models import Model
from pve.training import Data, Recipe, State, boundaries

# A loss of a formed model, the environment and a batch of data.
Loss = Callable[[MDP, MDP, Data], Array]


def likelihood_loss(model: Any, env: Any) -> Array:
    """Cross entropy of the transitions plus squared error of the reward, mean over (s, a).

    Args:
      model: anything with ``.reward`` and ``.transition``; probabilities > 0 wherever the
        environment's are.
      env: the environment, likewise.

    Returns:
      A number, smallest where the two are the same (then the transitions' entropy).
    """
    # Where p = 0 the term is zero, whatever p̃: the logarithm may be infinite there.
    possible = env.transition > 0
    logs = jnp.log(jnp.where(possible, model.transition, 1.0))
    entropy = -(env.transition * logs).sum(-1)
    return (entropy + (model.reward - env.reward) ** 2).mean()


def value_error_loss(model: Any, policies: Array, values: Array) -> Array:
    """The true error of a model's values, mean over B of Σ_s (ṽ_π − v_π)².

    Differentiable in the model, through the linear solve. Compiled programs that hold one
    should run one at a time: in two threads XLA's solves can wait for each other forever.

    Args:
      model: anything with ``.reward``, ``.transition`` and ``.discount``.
      policies: ``[B, S, A]``.
      values: ``[B, S]``, the environment's exact values of these policies.

    Returns:
      A number ≥ 0.
    """
    chains = (jnp.swapaxes(policies, 0, 1) @ model.transition).swapaxes(0, 1)
    system = jnp.eye(chains.shape[-1], dtype=chains.dtype) - model.discount * chains
    reward = (policies * model.reward).sum(-1)
    imagined = jnp.linalg.solve(system, reward[..., None])[..., 0]
    return ((imagined - values) ** 2).sum(-1).mean()


def likelihood(model: MDP, env: MDP, batch: Data) -> Array:
    """`likelihood_loss` as `advance` asks for it; the batch has no part in it."""
    del batch
    return likelihood_loss(model, env)


def value_error(model: MDP, env: MDP, batch: Data) -> Array:
    """`value_error_loss` as `advance` asks for it; the environment has no part in it."""
    del env
    return value_error_loss(model, batch.policies, batch.values)


@functools.partial(
    jax.jit, static_argnames=("model", "loss", "recipe", "discount", "length")
)
def advance(
    state: State,
    key: Array,
    data: Data,
    env: MDP,
    *,
    model: Model,
    loss: Loss,
    recipe: Recipe,
    discount: float,
    length: int,
) -> tuple[State, Array]:
    """Take ``length`` steps of any loss in one compiled loop.

    The batches are those of `pve.training.advance` with the same key, so that losses can
    be compared on the same data in the same order.

    Args:
      state: where the run stands.
      key: the run's key for batches; step i uses ``fold_in(key, i)``.
      data: what to train on.
      env: the environment.
      model: the family of models.
      loss: `likelihood`, `value_error`, or a function like them.
      recipe: how to train.
      discount: of environment and model.
      length: how many steps.

    Returns:
      The state after, and the loss before each step, ``[length]``.
    """
    optimiser = recipe.optimiser()
    env = jax.tree.map(functools.partial(jnp.asarray, dtype=jnp.float32), env)

    def step(state: State, index: Array) -> tuple[State, Array]:
        step_key = jax.random.fold_in(key, index)
        rows = jax.random.randint(step_key, (recipe.batch,), 0, len(data.policies))
        batch = jax.tree.map(lambda x: x[rows], data)

        def of_params(params: Any) -> Array:
            return loss(model.mdp(params, discount), env, batch)

        value, gradient = jax.value_and_grad(of_params)(state.params)
        updates, moments = optimiser.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        return State(state.step + 1, params, moments), value

    return jax.lax.scan(step, state, state.step + jnp.arange(length))


CHUNK = 500  # steps between two moments at which Ctrl-C is heard


def fit(
    state: State,
    key: Array,
    data: Data,
    env: MDP,
    *,
    model: Model,
    loss: Loss,
    recipe: Recipe,
    chunk: int = CHUNK,
) -> tuple[State, np.ndarray]:
    """Train to the recipe's last step.

    Args:
      state: where the run stands.
      key: the run's key for batches.
      data: what to train on.
      env: the environment; its discount is the model's, too.
      model: the family of models.
      loss: see `advance`.
      recipe: how to train.
      chunk: steps in a compiled loop; it changes no bit.

    Returns:
      The last state, and the loss before each step.

    Raises:
      FloatingPointError: a loss is not finite.
    """
    losses, start = [np.zeros(0, np.float32)], int(state.step)
    for end in boundaries(start, recipe.steps, chunk):
        state, found = advance(
            state,
            key,
            data,
            env,
            model=model,
            loss=loss,
            recipe=recipe,
            discount=float(env.discount),
            length=end - start,
        )
        losses.append(np.asarray(found))
        if not np.isfinite(losses[-1]).all():
            raise FloatingPointError(f"a loss is not finite before step {end}")
        start = end
    return state, np.concatenate(losses)
