"""Small random worlds, and the slow and obvious ways to compute what `pve` computes."""

import itertools
import math
from fractions import Fraction

import jax
import numpy as np
from hypothesis import strategies as st

import pve


def random_mdp(seed, states=3, actions=2, discount=0.9):
    """An MDP whose next states are all possible, rewards U(-1, 1)."""
    random = np.random.default_rng(seed)
    transition = random.dirichlet(np.ones(states), (states, actions))
    return pve.MDP(random.uniform(-1, 1, (states, actions)), transition, discount)


def stochastic_policies(seed, num, states=3, actions=2):
    """Policies with uniform weights, `[num, S, A]`."""
    return np.random.default_rng(seed).dirichlet(np.ones(actions), (num, states))


def deterministic_policies(states, actions):
    """All of them, `[A**S, S, A]`."""
    chosen = list(itertools.product(range(actions), repeat=states))
    return np.eye(actions)[np.array(chosen)]


def backup(mdp, policy, value):
    """One application of a policy's Bellman operator, by three loops."""
    states, actions = mdp.reward.shape
    result = np.zeros(states)
    for s in range(states):
        for a in range(actions):
            later = sum(mdp.transition[s, a, t] * value[t] for t in range(states))
            result[s] += policy[s, a] * (mdp.reward[s, a] + mdp.discount * later)
    return result


def backups(mdp, policy, value, order):
    """`order` applications in turn."""
    for _ in range(order):
        value = backup(mdp, policy, value)
    return value


def chain(mdp, policy):
    """The reward and the transition matrix of a policy: `[S]`, `[S, S]`."""
    reward = (policy * mdp.reward).sum(-1)
    return reward, np.einsum("sa,sat->st", policy, mdp.transition)


def long_run_value(mdp, policy):
    """The value of a policy as its limit: the powers of the chain, doubled."""
    reward, matrix = chain(mdp, policy)
    value, matrix = reward, mdp.discount * matrix
    for _ in range(60):  # after n doublings the sum of the first 2**n terms
        value, matrix = value + matrix @ value, matrix @ matrix
    return value


def central_difference(function, at, direction, step=1e-6):
    """The directional derivative of a function of an array."""
    ahead, behind = function(at + step * direction), function(at - step * direction)
    return (ahead - behind) / (2 * step)


def equations(jaxpr):
    """All equations of a jaxpr and, however deep, of those inside it."""
    for equation in jaxpr.eqns:
        yield equation
        for leaf in jax.tree.leaves(tuple(equation.params.values())):
            inner = getattr(leaf, "jaxpr", leaf)  # a closed one holds an open one
            if hasattr(inner, "eqns"):
                yield from equations(inner)


def dot_precisions(function, *args):
    """The precision that each product of matrices in a function is to have."""
    jaxpr = jax.make_jaxpr(function)(*args).jaxpr
    return [
        equation.params["precision"]
        for equation in equations(jaxpr)
        if equation.primitive.name == "dot_general"
    ]


seeds = st.integers(0, 10**6)
discounts = st.sampled_from([0.0, 0.3, 0.9, 0.99])


@st.composite
def mdps(draw, most_states=4, most_actions=3):
    """Random MDPs of all small sizes."""
    return random_mdp(
        draw(seeds),
        draw(st.integers(1, most_states)),
        draw(st.integers(1, most_actions)),
        draw(discounts),
    )


@st.composite
def pairs_of_mdps(draw, most_states=4, most_actions=3):
    """Two unrelated MDPs of one size and discount: an environment and a model."""
    env = draw(mdps(most_states, most_actions))
    return env, random_mdp(draw(seeds), *env.reward.shape, env.discount)


def damage(path, kind):
    """Damage a file as disks and people do."""
    content = path.read_bytes()
    if kind == "deleted":
        path.unlink()
    elif kind == "emptied":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(content[: len(content) * 3 // 4])
    elif kind == "flipped":
        middle = len(content) // 2
        flipped = bytes([content[middle] ^ 4])
        path.write_bytes(content[:middle] + flipped + content[middle + 1 :])
    else:
        raise ValueError(kind)


def rational_optimum(mdp):
    """The optimal value in rational numbers, rounded at the end; and who attains it.

    The rows of the transition are divided by their sums. Where the MDP has a mask, only
    what it allows is tried.

    Returns:
      Value `[S]` and, `[S, A]`, which actions are optimal.
    """
    states, actions = mdp.reward.shape
    reward = [[Fraction(float(x)) for x in row] for row in mdp.reward]
    discount = Fraction(float(mdp.discount))
    chances = [
        [[Fraction(float(x)) for x in row] for row in rows] for rows in mdp.transition
    ]
    chances = [[[p / sum(row) for p in row] for row in rows] for rows in chances]
    legal = getattr(mdp, "legal", None)
    legal = np.ones((states, actions), bool) if legal is None else legal
    choices = [np.flatnonzero(row).tolist() for row in legal]
    plan = [found[0] for found in choices]
    while True:
        value = _rational_solution(
            [
                [(s == t) - discount * chances[s][plan[s]][t] for t in range(states)]
                for s in range(states)
            ],
            [reward[s][plan[s]] for s in range(states)],
        )
        worth = [
            [
                reward[s][a]
                + discount * sum(p * v for p, v in zip(chances[s][a], value, strict=True))
                for a in range(actions)
            ]
            for s in range(states)
        ]
        better = [
            max(found, key=row.__getitem__)
            for found, row in zip(choices, worth, strict=True)
        ]
        stays = [worth[s][plan[s]] == worth[s][better[s]] for s in range(states)]
        if all(stays):
            best = [[x == v for x in row] for row, v in zip(worth, value, strict=True)]
            return np.array([float(v) for v in value]), np.array(best) & legal
        plan = [p if stay else b for p, b, stay in zip(plan, better, stays, strict=True)]


def _rational_solution(matrix, right):
    rows = [[*row, b] for row, b in zip(matrix, right, strict=True)]
    for i in range(len(rows)):
        pivot = next(k for k in range(i, len(rows)) if rows[k][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for k in range(len(rows)):
            if k != i and rows[k][i]:
                rows[k] = [
                    x - rows[k][i] * y for x, y in zip(rows[k], rows[i], strict=True)
                ]
    return [row[-1] for row in rows]


def check_optimum(mdp, legal, backup):
    """Whether a plan is worth what is said of it, and none is better, by other backups.

    Args:
      mdp: what was made of a table, of arrays or of a map.
      legal: which actions its source allows in each of its states, ``[S, A]``; where none
        is, the source ends and is worth nothing.
      backup: from a value ``[S]`` to what the source says each action is worth, ``[S, A]``,
        and to the sum of the sizes of the terms of that.
    """
    value, policy = pve.policy_iteration(mdp)
    worth, size = (np.asarray(found) for found in backup(value))
    states, plan = np.arange(len(legal)), policy.argmax(-1)[: len(legal)]
    taken, value = worth[states, plan], value[: len(legal)]
    size = size.max(-1) + np.abs(value)
    slack = 1e-12 * size
    # A probability's rounding is felt in every step: 1 / (1 − γ) times.
    worse = max(1e-12, 1e-14 / (1 - mdp.discount)) * size
    goes_on = legal.any(-1)
    assert legal[states, plan][goes_on].all()
    assert (np.abs(value - taken) <= slack)[goes_on].all()
    assert (np.where(legal, worth, -np.inf).max(-1) - taken <= worse)[goes_on].all()
    assert not value[~goes_on].any()


def check_is_mdp(mdp):
    """Whether the rows are distributions and the rewards finite; it is made dense."""
    mdp = mdp if isinstance(mdp, pve.MDP) else mdp.dense()
    np.testing.assert_allclose(mdp.transition.sum(-1), 1, atol=1e-12)
    assert (mdp.transition >= 0).all()
    assert np.isfinite(mdp.reward).all()
    return mdp


def varied_mdp(seed, states=5, actions=3):
    """Random worlds as people have them: `seed` decides what is odd about each.

    Some have penalties of up to 1e12, some masks, some states that lead to few others, and
    the discount is anything from 0 to 1 − 1e-9.
    """
    random = np.random.default_rng(seed)
    shape = states, actions
    discount = [0.0, 0.5, 0.9, 0.99, 0.9999, 1 - 1e-6, 1 - 1e-8, 1 - 1e-9][seed % 8]
    reward, legal = random.uniform(-1, 1, shape), None
    transition = random.dirichlet(np.ones(states), shape)
    if random.random() < 0.5:
        costly = random.random(shape) < 0.3
        reward[costly] *= -(10.0 ** random.integers(3, 13, costly.sum()))
    if random.random() < 0.5:
        legal = random.random(shape) < 0.6
        legal[np.arange(states), random.integers(actions, size=states)] = True
    if random.random() < 0.5:
        transition *= random.random(transition.shape) < 0.4
        transition[..., 0] += transition.sum(-1) == 0
        transition /= transition.sum(-1, keepdims=True)
    return pve.MDP(reward, transition, discount, legal)


def jacks_cars(most=20, moves=5):
    """Jack's car rental (Sutton and Barto, example 4.2): 441 states, 11 actions.

    Returns:
      Reward `[S, A]`, transition `[S, A, S]` and, `[S, A]`, which moves are legal; the
      others stay and earn nothing.
    """

    def day(asked, returned):
        """For each number of cars in the morning: rentals, and the evening's cars."""
        rented, evening = np.zeros(most + 1), np.zeros((most + 1, most + 1))
        counts = range(60)
        asked, returned = (
            [math.exp(-mean) * mean**n / math.factorial(n) for n in counts]
            for mean in (asked, returned)
        )
        for cars, a, r in itertools.product(range(most + 1), counts, counts):
            chance, gone = asked[a] * returned[r], min(a, cars)
            rented[cars] += chance * gone
            evening[cars, min(cars - gone + r, most)] += chance
        return rented, evening

    (rented, evening), (rented_there, evening_there) = day(3, 3), day(4, 2)
    shape = (most + 1) ** 2, 2 * moves + 1
    reward, legal = np.zeros(shape), np.zeros(shape, bool)
    transition = np.tile(np.eye(shape[0])[:, None], (1, shape[1], 1))
    for here, there, action in itertools.product(
        range(most + 1), range(most + 1), range(shape[1])
    ):
        state, moved = here * (most + 1) + there, action - moves
        if -there <= moved <= here:
            legal[state, action] = True
            x, y = min(here - moved, most), min(there + moved, most)
            reward[state, action] = 10 * (rented[x] + rented_there[y]) - 2 * abs(moved)
            transition[state, action] = np.outer(evening[x], evening_there[y]).ravel()
    return reward, transition / transition.sum(-1, keepdims=True), legal
