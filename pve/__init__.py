"""Proper value equivalence in JAX.

Operators, losses, families of models and the experiments of Grimm, Barreto, Farquhar,
Silver and Singh, *Proper Value Equivalence*, NeurIPS 2021.

Shapes are spelled the same everywhere: ``S`` states, ``A`` actions, ``B`` batch, ``K``
order, ``N`` runs. Importing the package changes no global setting of JAX.
"""

from pve.equivalence.distances import (
    PrincipalComponents,
    diameter,
    flatten,
    principal_components,
    spread,
)
from pve.equivalence.losses import pve_loss, ve_loss
from pve.equivalence.models import LowRankModel, SoftmaxModel
from pve.equivalence.policies import improvement_policies, random_functions, random_policies
from pve.mdp.bellman import bellman, bellman_optimality, bellman_power
from pve.mdp.core import MDP
from pve.mdp.planning import (
    greedy_policy,
    performance,
    policy_iteration,
    policy_value,
    uniform_policy,
    value_iteration,
)
from pve.mdp.simulation import optimal_action_share, trajectories
from pve.mdp.sparse import SparseMDP
from pve.results.load import load, load_model
from pve.training.problem import Recipe
from pve.training.train import Trained, train
from pve.worlds.arrays import from_arrays
from pve.worlds.gridworld import GridWorld, four_rooms, grid_world
from pve.worlds.tables import from_gymnasium, from_table

__version__ = "0.1.0"

__all__ = [
    "MDP",
    "GridWorld",
    "LowRankModel",
    "PrincipalComponents",
    "Recipe",
    "SoftmaxModel",
    "SparseMDP",
    "Trained",
    "bellman",
    "bellman_optimality",
    "bellman_power",
    "diameter",
    "flatten",
    "four_rooms",
    "from_arrays",
    "from_gymnasium",
    "from_table",
    "greedy_policy",
    "grid_world",
    "improvement_policies",
    "load",
    "load_model",
    "optimal_action_share",
    "performance",
    "policy_iteration",
    "policy_value",
    "principal_components",
    "pve_loss",
    "random_functions",
    "random_policies",
    "spread",
    "train",
    "trajectories",
    "uniform_policy",
    "value_iteration",
    "ve_loss",
]
