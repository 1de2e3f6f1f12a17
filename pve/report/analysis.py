"""One world asked the book's questions, with an effort that fits its size.

How large is it, and what is the best plan worth? Which models have exactly its values, in
which directions does the proper loss hardly look, and how far may a model stray whose
residuals are small? Where do trained models end, by the order of the loss, and how well do
they plan, by rank and policy set? Each training is done at two lengths, a quarter and the
whole, so that what still moves is seen.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from tqdm import tqdm

from pve.checks import check_seed
from pve.equivalence.distances import flatten, spread
from pve.equivalence.exact_class import (
    curvature_along,
    curvatures,
    dimension_of_pair,
    epsilon_range,
    twins,
)
from pve.equivalence.models import LowRankModel, SoftmaxModel
from pve.equivalence.policies import improvement_policies, random_policies
from pve.keys import stream
from pve.mdp.core import MDP
from pve.mdp.planning import (
    performance_limits,
    plan_within,
    policy_iteration,
    policy_value,
    uniform_policy,
)
from pve.mdp.simulation import assess_plan, constant_plans
from pve.training.problem import Recipe
from pve.training.train import Trained, train
from pve.training.units import in_units, unit_of_values
from pve.worlds.places import Place

LARGEST = 3_000_000  # numbers in a model's transitions, S · A · S
SMALL = 150  # states: up to here all is done, above less
SETS = ("deterministic", "stochastic")
ORDERS = (1, 5, math.inf)
BATCH, LEARNING_RATE = 20, 1e-2
TWIN_POLICIES = 50  # under which states are compared
EPSILON = 0.01  # of the values' standard deviation
NOTHING = 1e-12  # of the largest optimal value: the rounding of a value that is 0


class Effort(NamedTuple):
    """How much is done; the size of the world alone decides it.

    Attributes:
      pairs: of states and actions, whose class is examined.
      widths: how many of these get linear programmes, too.
      policies: that each run trains on.
      steps: of the longer trainings.
      runs: of each training.
      ranks: of the small models, increasing.
    """

    pairs: int
    widths: int
    policies: int
    steps: int
    runs: int
    ranks: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Analysis:
    """What was found.

    Attributes:
      place: the world.
      seed: of everything random.
      effort: how much was done.
      world: its facts, by what they are called.
      value: ``[S]``, v_*.
      plan: ``[S, A]``, an optimal policy.
      states: a row for each state: its name, v_*, the plan's action.
      plans: a row for each plan: what it is worth, whether it reaches a goal.
      pairs: a row for each pair that was examined: the class, its flat directions.
      orders: a row for each order of the loss and length of training.
      ranks: a row for each policy set, rank and length of training.
    """

    place: Place
    seed: int
    effort: Effort
    world: dict[str, Any]
    value: np.ndarray
    plan: np.ndarray
    states: pd.DataFrame
    plans: pd.DataFrame
    pairs: pd.DataFrame
    orders: pd.DataFrame
    ranks: pd.DataFrame


def effort_for(mdp: MDP) -> Effort:
    """The effort that takes about two minutes at a hundred states.

    Raises:
      ValueError: the world is too large.
    """
    size = mdp.transition.size
    if size > LARGEST:
        raise ValueError(
            f"the world has {mdp.num_states} states and {mdp.num_actions} actions: a model "
            f"is {size:,} numbers; a report trains dozens of models, at most "
            f"{LARGEST:,}"
        )
    small, S = mdp.num_states <= SMALL, mdp.num_states
    ranks = sorted({max(1, S // part) for part in (32, 16, 8, 4, 2)} | {1})
    return Effort(
        pairs=min(mdp.reward.size, 60 if small else 12),
        widths=min(mdp.reward.size, 8 if small else 2),
        policies=min(1000, max(100, 2 * 10**7 // mdp.reward.size // 10)),
        steps=int(np.clip(4 * 10**8 // size, 400, 4000)),
        runs=3 if small else 2,
        ranks=tuple(ranks if small else ranks[::2]),
    )


def analyse(place: Place, seed: int = 0, *, progress: bool = True) -> Analysis:
    """Ask a world all the questions.

    Args:
      place: the world.
      seed: of everything random, an integer from 0 to 2³² − 1.
      progress: whether to show a bar.

    Returns:
      What was found.

    Raises:
      ValueError: the world is too large, or the seed is not legal.
    """
    check_seed(seed)
    effort = effort_for(place.mdp)
    trainings = 2 * (len(ORDERS) + len(SETS) * len(effort.ranks))
    with _bar(3 + trainings, progress) as bar:
        asked = _Questions(place, seed, effort, bar)
        value, plan = policy_iteration(place.mdp)
        bar.step("the class")
        pairs = asked.pairs()
        bar.step("trainings by order")
        orders, models = asked.orders()
        ranks = asked.ranks()
        plans = asked.plans(plan, models)
        bar.step("done")
    return Analysis(
        place=place,
        seed=seed,
        effort=effort,
        world=asked.facts(value),
        value=value,
        plan=plan,
        states=states_table(place.mdp, value, plan),
        plans=plans,
        pairs=pairs,
        orders=orders,
        ranks=ranks,
    )


class _Bar:
    def __init__(self, bar: Any) -> None:
        self.bar = bar

    def step(self, what: str) -> None:
        self.bar.update()
        self.bar.set_description(what)


@contextmanager
def _bar(total: int, shown: bool) -> Iterator[_Bar]:
    with tqdm(total=total, disable=not shown, desc="the optimum") as bar:
        yield _Bar(bar)


def reaching(mdp: MDP, goals: np.ndarray) -> np.ndarray:
    """The states from which legal actions can lead to a goal, the goals included.

    Args:
      mdp: the world.
      goals: the states that are goals.
    """
    legal = True if mdp.legal is None else mdp.legal[..., None]
    leads = ((mdp.transition > 0) & legal).any(1)
    reach = np.isin(np.arange(mdp.num_states), goals)
    while True:
        wider = reach | leads[:, reach].any(1)
        if (wider == reach).all():
            return np.flatnonzero(reach)
        reach = wider


def states_table(mdp: MDP, value: np.ndarray, plan: np.ndarray) -> pd.DataFrame:
    """A row for each state: its name and value, and the action that a plan takes there.

    Args:
      mdp: the world.
      value: [S].
      plan: [S, A], a deterministic policy.
    """
    chosen = plan.argmax(-1)
    columns = {"state": np.arange(mdp.num_states), "name": names_of_states(mdp)}
    columns |= {"value": value, "action": chosen}
    actions = names_of_actions(mdp)
    return pd.DataFrame(columns | {"action name": [actions[a] for a in chosen]})


def names_of_states(mdp: MDP) -> tuple[str, ...]:
    """The names of states, their numbers where they have none."""
    return mdp.state_names or tuple(map(str, range(mdp.num_states)))


def names_of_actions(mdp: MDP) -> tuple[str, ...]:
    """The names of actions, their numbers where they have none."""
    return mdp.action_names or tuple(map(str, range(mdp.num_actions)))


class _Questions:
    """The questions to one world; what they share is computed once."""

    def __init__(self, place: Place, seed: int, effort: Effort, bar: _Bar) -> None:
        self.place, self.mdp, self.seed = place, place.mdp, seed
        self.effort, self.bar = effort, bar
        self.limits = performance_limits(self.mdp)
        drawn = self._draw("units", effort.policies, "mixed")
        self.unit = unit_of_values(policy_value(self.mdp, drawn), self.mdp.discount)
        self.scaled = in_units(self.mdp, *self.unit)

    def _draw(self, what: str, num: int, kind: str) -> np.ndarray:
        key, mdp = stream(self.seed, "report", what), self.mdp
        shape = num, mdp.num_states, mdp.num_actions
        return np.asarray(random_policies(key, *shape, kind, legal=mdp.legal))

    def facts(self, value: np.ndarray) -> dict[str, Any]:
        """Its size and structure."""
        mdp, place = self.mdp, self.place
        legal = np.ones(mdp.reward.shape, bool) if mdp.legal is None else mdp.legal
        reward = mdp.reward[legal]
        stays = (mdp.transition[range(len(value)), :, range(len(value))] == 1) | ~legal
        followers = (mdp.transition > 0).sum(-1)[legal]
        policies = self._draw("twins", TWIN_POLICIES, "deterministic")
        alike = f"states that are worth the same under {TWIN_POLICIES} random policies"
        low, best = self.limits
        lost = {}
        if len(place.goals):
            name = "states from which no goal can be reached"
            lost[name] = len(value) - len(reaching(mdp, place.goals))
        return {
            "states": mdp.num_states,
            "actions": mdp.num_actions,
            "pairs of a state and a legal action": int(legal.sum()),
            "discount": mdp.discount,
            "rewards": f"{reward.min():.4g} to {reward.max():.4g}",
            "next states of a pair, median": float(np.median(followers)),
            "states that no action leaves": int(stays.all(-1).sum()),
            "goals that are known": len(place.goals),
            **lost,
            alike: len(twins(policy_value(mdp, policies))),
            "optimal value, lowest to highest": (
                f"{value.min() + 0.0:.4g} to {value.max() + 0.0:.4g}"
            ),
            "optimal value, mean over states": best,
            "uniform policy's value, mean over states": low,
        }

    def _performances(self, models: list[MDP]) -> np.ndarray:
        """Of each model's plan: 0 for the uniform policy, 1 for an optimal one."""
        low, best = self.limits
        worth = [policy_value(self.mdp, plan_within(m, self.mdp)[1]).mean() for m in models]
        if best - low <= 1e-12 * max(abs(best), abs(low)):
            return np.full(len(models), np.nan)  # all policies are alike
        return (np.array(worth) - low) / (best - low)

    def pairs(self) -> pd.DataFrame:
        """The class of exact models, pair by pair, and how far near ones may stray."""
        # In the unit of the values: ranges are found by a solver with absolute tolerances.
        mdp, effort, (factor, _) = self.scaled, self.effort, self.unit
        examined, policies = self._policies_for_pairs()
        values = policy_value(mdp, policies)
        taken = policies == 1
        epsilon = EPSILON * float(values.std())
        every = max(1, len(examined) // effort.widths)
        wide = range(0, len(examined), every)[: effort.widths]
        states, actions, rows = names_of_states(mdp), names_of_actions(mdp), []
        for index, (s, a) in enumerate(examined.tolist()):
            mine = values[taken[:, s, a]]
            found = curvatures(mine, mdp.discount).curvature
            largest = float(found[0]) if found.size else 0.0
            stay = np.eye(mdp.num_states)[s] - mdp.transition[s, a]
            lazy = curvature_along(mine, stay, mdp.discount) if stay.any() else np.nan
            dimension = dimension_of_pair(mine, discount=mdp.discount)
            # Along what no policy sees the loss is flat: any digits would be rounding.
            flattest = 0.0 if dimension else np.nan
            if not dimension and largest > 0:
                flattest = float(found[-1] / largest)
            row = {
                "state": states[s],
                "action": actions[a],
                "policies": len(mine),
                "dimension": dimension,
                "flattest": flattest,
                "staying": float(lazy / largest) if largest > 0 else np.nan,
            }
            if index in wide and epsilon > 0:
                for name, place, unit in (("reward", 0, factor), ("staying", 1 + s, 1)):
                    direction = np.eye(1 + mdp.num_states)[place]
                    try:
                        ends = epsilon_range(mdp, mine, s, a, epsilon, direction)
                    except RuntimeError:  # the solver has failed, as its table says
                        ends = np.nan, np.nan
                    row |= {f"{name} from": ends[0] / unit, f"{name} to": ends[1] / unit}
            rows.append(row)
        return pd.DataFrame(rows)

    def _policies_for_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs whose class is examined, and the policies under which it is.

        A pair has S unknowns, and should be taken by about twice as many policies: with
        fewer than S its class would look larger than it is. In a large world, where few
        pairs are examined and a policy's value takes long, half the policies take these.
        """
        mdp = self.mdp
        legal = np.ones(mdp.reward.shape, bool) if mdp.legal is None else mdp.legal
        enough, choices = 2 * (mdp.num_states + 20), int(legal.sum(-1).max())
        if mdp.num_states <= SMALL or choices <= 2:
            policies = self._draw("class", choices * enough, "deterministic")
            return self._some(np.argwhere((policies == 1).any(0))), policies
        policies = np.array(self._draw("class", 2 * enough, "deterministic"))
        examined = self._some(np.argwhere(legal))
        key, shape = stream(self.seed, "report", "coins"), (len(examined), len(policies))
        coins = np.asarray(jax.random.bernoulli(key, 0.5, shape))
        for (s, a), heads in zip(examined, coins, strict=True):
            policies[heads, s] = np.eye(mdp.num_actions)[a]
        return examined, policies

    def _some(self, pairs: np.ndarray) -> np.ndarray:
        places = np.linspace(0, len(pairs) - 1, min(self.effort.pairs, len(pairs)))
        return pairs[places.astype(int)]

    def _lengths(self) -> tuple[int, int]:
        return self.effort.steps // 4, self.effort.steps

    def _train(self, what: str, steps: int, **chosen: Any) -> Trained:
        recipe = Recipe(steps, BATCH, LEARNING_RATE, "cosine")
        key = stream(self.seed, "report", what)
        return train(key, self.scaled, runs=self.effort.runs, recipe=recipe, **chosen)

    def orders(self) -> tuple[pd.DataFrame, dict[float, list[MDP]]]:
        """Spread, loss and plans by the order of the loss."""
        mdp, family = self.mdp, SoftmaxModel()
        keys = [stream(self.seed, "report", f"drawn {i}") for i in range(self.effort.runs)]
        shape = mdp.num_states, mdp.num_actions
        before = _spread([family.mdp(family.init(k, *shape), mdp.discount) for k in keys])
        rows, models = [], {}
        for order in ORDERS:
            for steps in self._lengths():
                found = self._train(
                    f"order {order}",
                    steps,
                    order=order,
                    num_policies=self.effort.policies,
                )
                models[order] = found.models
                rows.append(
                    {
                        "order": order,
                        "steps": steps,
                        "spread kept": _spread(found.models) / before,
                        **_measured(found, self._performances(found.models)),
                    }
                )
                self.bar.step(f"order {order:g}")
        return pd.DataFrame(rows), models

    def ranks(self) -> pd.DataFrame:
        """Loss and plans of small models, by rank and policy set."""
        rows = []
        for kind in SETS:
            key = stream(self.seed, "report", "paths", kind)
            num = self.effort.policies // 5
            policies = improvement_policies(key, self.mdp, num, 5, kind)
            for rank in self.effort.ranks:
                for steps in self._lengths():
                    found = self._train(
                        f"rank {rank}", steps, model=LowRankModel(rank), policies=policies
                    )
                    rows.append(
                        {
                            "policies": kind,
                            "rank": rank,
                            "steps": steps,
                            **_measured(found, self._performances(found.models)),
                        }
                    )
                    self.bar.step(f"rank {rank}, {kind}")
        return pd.DataFrame(rows)

    def plans(self, optimal: np.ndarray, models: dict[float, list[MDP]]) -> pd.DataFrame:
        """What plans are worth from the start, beside the optimal one."""
        mdp = self.mdp
        shown = {"optimal": [optimal], "uniform": [uniform_policy(mdp)]}
        constant = constant_plans(mdp)
        if constant:
            worth = [policy_value(mdp, plan).mean() for plan in constant]
            shown["the best that always takes one action"] = [
                constant[int(np.argmax(worth))]
            ]
        for order, found in models.items():
            name = "∞" if order == math.inf else f"{order:g}"
            shown[f"of models of order {name} (medians)"] = [
                plan_within(model, mdp)[1] for model in found
            ]
        rows = []
        nothing = NOTHING * np.abs(policy_value(mdp, optimal)).max()
        for name, plans in shown.items():
            worth = [policy_value(mdp, plan).mean() for plan in plans]
            assessed = [assess_plan(plan, mdp, self.place.goals) for plan in plans]
            start, goal, share = np.median(np.array(assessed), axis=0)
            rows.append(
                {
                    "plan": name,
                    "mean value": float(np.median(worth)),
                    "value from the start": start if abs(start) > nothing else 0.0,
                    "reaches a goal": goal,
                    "optimal in": share,
                }
            )
        return pd.DataFrame(rows)


def _spread(models: list[MDP]) -> float:
    return spread(np.stack([flatten(model) for model in models]))


def _measured(found: Trained, performances: np.ndarray) -> dict[str, float]:
    """The loss at the end, the share of it that is left, and how well the models plan."""
    count = max(1, found.losses.shape[1] // 20)
    first, last = (
        np.median(found.losses[:, part])
        for part in (slice(None, count), slice(-count, None))
    )
    low, middle, high = np.quantile(performances, (0, 0.5, 1))
    return {
        "loss": float(last),
        "loss left": float(last / first) if first > 0 else 0.0,
        "performance, lowest": low,
        "performance": middle,
        "performance, highest": high,
    }
