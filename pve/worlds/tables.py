"""MDPs from Gymnasium's toy-text environments.

FrozenLake, CliffWalking and Taxi carry their model as a table: ``env.unwrapped.P[s][a]``
is a list of (probability, next state, reward, terminated). Gymnasium ends an episode at
a terminated transition; an MDP goes on for ever. So every state that a terminated
transition enters is made absorbing, with reward 0. Returns are unchanged where such a
state is entered by terminated transitions alone, as on every way that leads from a start.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pve.mdp.core import MDP


def from_gymnasium(env: Any, discount: float = 0.99) -> MDP:
    """The MDP of a Gymnasium environment that carries its tabular model.

    Args:
      env: the environment, or its identifier such as ``"FrozenLake-v1"``.
      discount: in [0, 1).

    Returns:
      The MDP; the states and actions are numbered as in the environment.

    Raises:
      ValueError: there is no such environment, it has no table, or its table is no MDP.
    """
    name = env if isinstance(env, str) else type(env.unwrapped).__name__
    if isinstance(env, str):
        env = _make(env)
    table = getattr(env.unwrapped, "P", None)
    if table is None:
        raise ValueError(
            f"environment {name} has no tabular model `P`; legal are toy-text "
            "environments such as FrozenLake-v1, CliffWalking-v1 and Taxi-v4"
        )
    num_states, num_actions = len(table), len(table[0])
    reward = np.zeros((num_states, num_actions))
    transition = np.zeros((num_states, num_actions, num_states))
    terminal = set()
    for state, actions in table.items():
        for action, outcomes in actions.items():
            for probability, following, gain, terminated in outcomes:
                transition[state, action, following] += probability
                reward[state, action] += probability * gain
                if terminated:
                    terminal.add(int(following))
    for state in terminal:
        reward[state] = 0
        transition[state] = 0
        transition[state, :, state] = 1
    return MDP(reward, transition, discount)


def _make(identifier: str) -> Any:
    import gymnasium  # here, so that only those who ask for it wait for its import

    try:
        return gymnasium.make(identifier)
    except (gymnasium.error.Error, ImportError) as error:
        raise ValueError(
            f"environment {identifier!r} cannot be made: {error}; legal are names that "
            "gymnasium knows, such as FrozenLake-v1"
        ) from None
