r"""Sets of policies, random and along improvement paths, and random functions.

Random policies are the diameter experiment's data. The capacity experiment takes its
policies from *improvement paths*: asynchronous value iteration that starts from a random
deterministic policy and its value, backs up a random tenth of the states at a time and
makes the policy greedy there. A path ends when its policy has covered nine tenths of the
gap to the optimum, and another begins; from each policy on the way come perturbed ones.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from pve.checks import (
    Array,
    check_kind,
    check_legal,
    check_positive_integer,
    check_share,
)
from pve.keys import generator
from pve.mdp.core import MDP, exact
from pve.mdp.planning import policy_iteration, policy_value


def random_policies(
    key: Array,
    num: int,
    num_states: int,
    num_actions: int,
    kind: str = "mixed",
    *,
    legal: Array | None = None,
) -> Array:
    """Draw independent random policies.

    Args:
      key: a JAX key.
      num: how many, N ≥ 1.
      num_states: the number of states, ``S``.
      num_actions: the number of actions, ``A``.
      kind: ``"deterministic"`` (in each state one action, all equally likely),
        ``"stochastic"`` (in each state uniform weights, divided by their sum) or
        ``"mixed"`` (each policy one or the other, with equal chance).
      legal: ``[S, A]``, the actions to draw from, such as ``mdp.legal``; None for all.

    Returns:
      ``[N, S, A]``, float32.

    Raises:
      ValueError: an unknown kind, a number below 1 or a state without legal actions.
    """
    check_kind(kind)
    check_positive_integer("num", num)
    check_positive_integer("num_states", num_states)
    check_positive_integer("num_actions", num_actions)
    legal = check_legal(legal, np.zeros((num_states, num_actions)))
    return _random_policies(key, num, num_states, num_actions, kind, legal)


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _random_policies(
    key: Array, num: int, num_states: int, num_actions: int, kind: str, legal: Array | None
) -> Array:
    action_key, weight_key, kind_key = jax.random.split(key, 3)
    shape = (num, num_states)

    def deterministic() -> Array:
        if legal is None:
            actions = jax.random.randint(action_key, shape, 0, num_actions)
        else:
            place = jax.random.randint(action_key, shape, 0, legal.sum(-1))
            actions = jnp.argsort(~legal, stable=True)[jnp.arange(num_states), place]
        return jax.nn.one_hot(actions, num_actions, dtype=jnp.float32)

    def stochastic() -> Array:
        weights = jax.random.uniform(weight_key, (*shape, num_actions))
        weights = jnp.maximum(weights, 1e-7)  # a row of zeros has no distribution
        weights = weights if legal is None else weights * legal
        return weights / weights.sum(-1, keepdims=True)

    if kind == "deterministic":
        return deterministic()
    if kind == "stochastic":
        return stochastic()
    coin = jax.random.bernoulli(kind_key, 0.5, (num, 1, 1))
    return jnp.where(coin, deterministic(), stochastic())


def random_functions(key: Array, num: int, num_states: int) -> Array:
    """Draw functions of the state, U(−1, 1) independently: ``[N, S]``, float32.

    Raises:
      ValueError: a number below 1.
    """
    check_positive_integer("num", num)
    check_positive_integer("num_states", num_states)
    return jax.random.uniform(key, (num, num_states), minval=-1.0, maxval=1.0)


def improvement_path(
    key: Array,
    mdp: MDP,
    num: int,
    *,
    update_probability: float = 0.1,
    covered: float = 0.9,
    published: bool = False,
) -> np.ndarray:
    """Policies along improvement paths, from random ones towards the optimum.

    Args:
      key: a JAX key.
      mdp: the environment.
      num: how many policies, over one path or several.
      update_probability: the probability with which a state takes part in a backup.
      covered: the share of the gap between the first policy's mean value and the
        optimal one at which a path ends and another begins.
      published: follow the published code instead: the whole value estimate is backed
        up, or none of it, with ``update_probability``; and a path ends when the
        *estimate's* mean passes ``covered`` times the optimum's.

    Returns:
      ``[num, S, A]``, deterministic policies, float64.
    """
    mdp, random = exact(mdp), generator(key)
    optimum = policy_iteration(mdp)[0].mean()
    actions_eye = np.eye(mdp.num_actions)
    policies: list[np.ndarray] = []
    while len(policies) < num:
        if mdp.legal is None:
            actions = random.integers(mdp.num_actions, size=mdp.num_states)
        else:
            place = random.integers(mdp.legal.sum(-1))
            actions = np.argsort(~mdp.legal, stable=True)[np.arange(mdp.num_states), place]
        value = policy_value(mdp, actions_eye[actions])
        start = value.mean()
        policies.append(actions_eye[actions])
        while len(policies) < num:
            action_values = mdp.reward + mdp.discount * mdp.expect(value)
            if mdp.legal is not None:
                action_values = np.where(mdp.legal, action_values, -np.inf)
            chosen = random.random(mdp.num_states) < update_probability
            actions = np.where(chosen, action_values.argmax(-1), actions)
            if published:
                moved = random.random() < update_probability
                value = action_values.max(-1) if moved else value
                reached = value.mean() > covered * optimum
            else:
                value = np.where(chosen, action_values.max(-1), value)
                mean = policy_value(mdp, actions_eye[actions]).mean()
                reached = mean - start >= covered * (optimum - start)
            policies.append(actions_eye[actions])
            if reached:
                break
    return np.stack(policies)


def improvement_policies(
    key: Array,
    mdp: MDP,
    num_base: int = 1000,
    num_perturbed: int = 100,
    kind: str = "stochastic",
    *,
    perturbed: float = 0.1,
    update_probability: float = 0.1,
    covered: float = 0.9,
    published: bool = False,
) -> np.ndarray:
    """Policies along improvement paths, perturbed: the capacity experiment's data.

    Args:
      key: a JAX key.
      mdp: the environment.
      num_base: policies along the paths.
      num_perturbed: perturbed policies from each of them.
      kind: what a perturbed state's action distribution is replaced with:
        ``"deterministic"`` or ``"stochastic"``.
      perturbed: the probability that a state's distribution is replaced, in [0, 1].
      update_probability: see `improvement_path`.
      covered: see `improvement_path`.
      published: see `improvement_path`.

    Returns:
      ``[num_base * num_perturbed, S, A]``, float32, the perturbed policies of the first
      base policy first. (Grimm et al., 2021.)

    Raises:
      ValueError: an unknown kind or a number out of range.
    """
    if check_kind(kind) == "mixed":
        raise ValueError("kind is 'mixed'; expected 'deterministic' or 'stochastic'")
    check_positive_integer("num_base", num_base)
    check_positive_integer("num_perturbed", num_perturbed)
    for name, share in (
        ("perturbed", perturbed),
        ("update_probability", update_probability),
        ("covered", covered),
    ):
        check_share(name, share)
    if update_probability == 0:
        raise ValueError("update_probability is 0; expected a number in (0, 1]")
    path_key, mask_key, policy_key = jax.random.split(key, 3)
    base = improvement_path(
        path_key,
        mdp,
        num_base,
        update_probability=update_probability,
        covered=covered,
        published=published,
    ).astype(np.float32)
    num = num_base * num_perturbed
    replacement = random_policies(
        policy_key, num, mdp.num_states, mdp.num_actions, kind, legal=mdp.legal
    )
    mask = jax.random.bernoulli(mask_key, perturbed, (num, mdp.num_states, 1))
    repeated = np.repeat(base, num_perturbed, axis=0)
    return np.where(np.asarray(mask), np.asarray(replacement), repeated)
