"""The chapter on a reader's own MDP, asked of a world that its parameters name."""

import dataclasses
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from oracles import seeds, stochastic_policies
from test_papermill import outputs, run

import pve
from pve.book import own_world
from pve.equivalence.exact_class import twins
from pve.experiments import find_experiment
from pve.runs.folders import differences
from pve.runs.plan import make_plan
from pve.training.units import in_units, unit_of_values
from pve.worlds.gridworld import ACTION_STEPS
from pve.worlds.places import find_place

CHAPTER = ROOT / "book" / "your-mdp.ipynb"
LAKE = "gymnasium:FrozenLake-v1?is_slippery=false"
CLIFF = "gymnasium:CliffWalking-v1"


def test_no_world_is_asked_for():
    assert own_world.read(None, None) is None


@pytest.mark.parametrize(
    ("env", "discount", "error", "message"),
    [
        (None, 0.9, ValueError, r"discount is 0\.9 and env is None; expected"),
        (
            "cave.txt",
            None,
            ValueError,
            "environment is 'cave.txt'; expected one of 'four-rooms'",
        ),
        (7, None, TypeError, "environment is 7; expected"),
        (7, 0.9, TypeError, "environment is 7; expected"),
        ("four-rooms", 1.0, ValueError, "discount is 1; expected a number"),
        ("four-rooms?discount=0.9", 0.9, ValueError, "has a discount"),
        ("map:nowhere.txt", None, ValueError, "map 'nowhere.txt' cannot be read"),
    ],
)
def test_what_is_no_world_is_refused(env, discount, error, message):
    with pytest.raises(error, match=message):
        own_world.read(env, discount)


def test_a_world_too_large_for_the_chapter_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(own_world, "LARGEST", 17)
    pve.MDP(np.zeros((3, 2)), np.full((3, 2, 3), 1 / 3), 0.9).save(tmp_path / "m.npz")
    with pytest.raises(
        ValueError, match=r"3 states and 2 actions: .* 18 numbers; expected"
    ):
        own_world.read(f"npz:{tmp_path / 'm.npz'}", None)


def test_the_discount_is_the_parameters():
    assert own_world.read("four-rooms", 0.5).mdp.discount == 0.5
    assert own_world.read("four-rooms", None).mdp.discount == 0.99


@pytest.mark.parametrize("name", [LAKE, CLIFF])
def test_moves_on_gymnasiums_maps_lead_where_their_arrows_point(name):
    mine = own_world.read(name, None)
    height, width = mine.walls.shape
    for cell, here in enumerate(mine.xy):
        follow = mine.mdp.transition[cell][list(mine.moves)]
        for chances, step in zip(follow, ACTION_STEPS, strict=True):
            target = int(chances.argmax())
            inside = ((here + step >= 0) & (here + step < (width, height))).all()
            if (
                inside
                and target < len(mine.xy)
                and tuple(mine.xy[target]) != (0, height - 1)
            ):
                # It moves, unless the episode has ended there.
                assert (mine.xy[target] - here).tolist() in (step.tolist(), [0, 0])
    assert list(mine.toys) == [name]


@pytest.mark.parametrize("name", [LAKE, CLIFF])
def test_moves_on_gymnasiums_maps_are_called_what_they_do(name):
    place = find_place(name)
    mdp, width = place.mdp, place.walls.shape[1]
    for action, called in enumerate(mdp.action_names):
        assert int(mdp.transition[0, action].argmax()) == {
            "right": 1, "down": width, "left": 0, "up": 0,
        }[called]  # fmt: skip
    assert mdp.state_names[width] == "row 2, column 1"
    assert (mdp.num_states > place.walls.size) == (mdp.state_names[-1] == "end")


def test_a_worlds_description_belongs_to_a_folders_identity(tmp_path):
    """Its options by name, and what a file says by its numbers."""
    path = tmp_path / "cave.txt"
    path.write_text("#####\n#S G#\n#####\n")
    settings = find_experiment("diameter").preset("smoke")

    def identity(world):
        changed = dataclasses.replace(settings, env=world)
        return make_plan("diameter", changed, 0, tmp_path).identity

    first = identity(f"map:{path}?slip=0.1")
    assert differences(first, identity(f"map:{path}?slip=0.1")) == []
    told = differences(first, identity(f"map:{path}?slip=0.3"))
    assert [line.split()[0] for line in told] == ["env", "environment"]
    path.write_text("#####\n#SG #\n#####\n")
    told = differences(first, identity(f"map:{path}?slip=0.1"))
    assert [line.split()[0] for line in told] == ["environment"]


def test_a_cells_arrow_and_colour_are_its_own(monkeypatch):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    mine = own_world.read(LAKE, None)
    value, plan = pve.policy_iteration(mine.mdp)
    assert mine.draw(value, plan)
    picture = shown[0].axes[0].images[0].get_array()
    # Without ice the goal is 6 moves from the start: the value falls by γ with each.
    assert picture[0, 0] == pytest.approx(0.99**5)
    assert picture[3, 2] == pytest.approx(1)
    assert picture[3, 3] == picture[1, 1] == 0
    plt.close("all")


def test_a_small_world_without_a_map_is_bars_and_a_table(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    transition = np.zeros((3, 2, 3))
    transition[:, 0, [0]] = transition[:, 1, [2]] = 1
    mdp = pve.MDP(
        [[0, 1], [0, -1], [2, 0]], transition, 0.5,
        state_names=("shed", "a|b", "field"), action_names=("rest", "go"),
    )  # fmt: skip
    mdp.save(tmp_path / "m.npz")
    mine = own_world.read(f"npz:{tmp_path / 'm.npz'}", None)
    value, plan = pve.policy_iteration(mine.mdp)
    # field → shed → field …: v(field) = 2 + (1 + v(field) / 2) / 2, so 10 / 3.
    assert mine.draw(value, plan)
    (ax,) = shown[0].axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["field", "shed", "a|b"]
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([10 / 3, 8 / 3, 4 / 3])
    assert [text.get_text() for text in ax.texts] == ["rest", "go", "rest"]
    plt.close("all")
    assert mine.table(value, plan).splitlines()[2:] == [
        "| field | 3.333 | rest |",
        "| shed | 2.667 | go |",
        "| a\\|b | 1.333 | rest |",
    ]
    assert mine.lacks("it has no map").endswith("m.npz`: it has no map.")


def test_a_long_table_says_what_it_leaves_out(tmp_path):
    size = own_world.LISTED + 5
    pve.MDP(np.arange(size)[:, None], np.eye(size)[:, None], 0).save(tmp_path / "m.npz")
    mine = own_world.read(f"npz:{tmp_path / 'm.npz'}", None)
    best = pve.policy_iteration(mine.mdp)
    assert not mine.draw(*best)  # too many for bars
    lines = mine.table(*best).splitlines()
    assert lines[2] == f"| {size - 1} | {size - 1} | 0 |"
    assert lines[-1] == "(5 states of lower value are not listed.)"
    assert len(lines) == 2 + own_world.LISTED + 2


@given(seeds, st.integers(2, 4))
def test_twins_are_the_states_that_no_policy_tells_apart(seed, copies):
    """Copies of a state, with its reward and its next states, are worth what it is."""
    random = np.random.default_rng(seed)
    size = 3 + copies
    reward = random.uniform(-1, 1, (size, 2))
    transition = random.dirichlet(np.ones(size), (size, 2))
    same = random.permutation(size)[:copies]
    reward[same], transition[same] = reward[same[0]], transition[same[0]]
    mdp, policies = pve.MDP(reward, transition, 0.9), stochastic_policies(seed, 6, size, 2)
    values = pve.policy_value(mdp, policies)
    assert twins(values).tolist() == []
    policies[:, same] = policies[:, same[:1]]
    values = pve.policy_value(mdp, policies)
    assert twins(values).tolist() == sorted(same)


def test_values_in_their_unit_have_mean_0_and_deviation_1():
    random = np.random.default_rng(0)
    env = pve.MDP(
        100 * random.normal(size=(5, 2)) - 700, random.dirichlet(np.ones(5), (5, 2)), 0.9
    )
    policies = random.dirichlet(np.ones(2), (40, 5))
    unit = unit_of_values(pve.policy_value(env, policies), env.discount)
    values = pve.policy_value(in_units(env, *unit), policies)
    assert values.mean() == pytest.approx(0, abs=1e-9)
    assert values.std() == pytest.approx(1)


def test_the_unit_of_equal_values_is_1():
    assert unit_of_values(np.zeros(3), 0.9) == (1, 0)
    assert unit_of_values(100 + 1e-13 * np.arange(3), 0.5)[0] == 1
    assert unit_of_values([0.0, 8.0], 0.5) == (0.25, -0.5)


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_units_of_any_size(size):
    factor, shift = unit_of_values([0.0, 8.0 * size], 0.5)
    assert (factor * size, shift) == pytest.approx((0.25, -0.5), rel=1e-15)


def test_answers_say_what_was_found():
    found = {
        "kept": 0.5, "plans": np.array([0.2, 0.9, 1.0]), "taught": np.ones(1),
        "loss_left": 0.031, "crude_kept": 1.25, "crude_plan": -0.5, "rank": 4,
    }  # fmt: skip
    given = own_world.answers(**found)
    assert [line.split(" | ")[1].rstrip(" |") for line in given.splitlines()[2:]] == [
        "50% of the spread kept",
        "performance 0.90 (0.20 to 1.00)",
        "performance 1.00 (1.00 to 1.00)",
        "0.031 of the first loss is left",
        "125% of the spread kept, median performance -0.50",
        "4",
    ]
    assert "none of those tried" in own_world.answers(**found | {"rank": None})
    alike = own_world.answers(**found | {"plans": np.full(3, np.nan)})
    assert alike.count("does not apply: the uniform policy is optimal") == 4


def texts(path):
    """What a notebook shows in words."""
    return "\n".join(str(d.get("text/markdown", "")) for d in outputs(path) if d)


def test_papermill_analyses_a_map_of_ones_own(tmp_path):
    (tmp_path / "cave.txt").write_text("####\n#SG#\n#  #\n#HH#\n####\n")
    call = run(
        tmp_path, "mine.ipynb", "-p", "env", "map:cave.txt", "-p", "discount", "0.9",
        chapter=CHAPTER,
    )  # fmt: skip
    assert call.returncode == 0, call.stderr
    shown = texts(tmp_path / "mine.ipynb")
    name = "map:cave.txt?discount=0.9"
    assert f"**This run analyses `{name}`**: states: 6, actions: 4, γ = 0.9." in shown
    assert f"Does not apply to `{name}`: it has no table of outcomes" in shown
    assert f"In `{name}` 2 states are worth the same" in shown
    assert "| How far apart do trained models end? |" in shown
    assert not re.search("Shop|Garden|Taxi", shown)


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        (["-p", "env", "cave"], "environment is 'cave'; expected one of 'four-rooms'"),
        (
            ["-p", "envy", "map:cave.txt"],
            "expected one of 'seed', 'preset', 'env', 'discount'",
        ),
    ],
)
def test_papermill_refuses_what_is_no_world(tmp_path, parameter, message):
    call = run(tmp_path, "mine.ipynb", *parameter, chapter=CHAPTER)
    assert call.returncode != 0
    assert message in call.stderr
