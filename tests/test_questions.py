"""What the chapter on a reader's own MDP says of its worlds follows from the numbers."""

import numpy as np
import pytest
from oracles import random_mdp

import pve
from pve.book import own_world, questions
from pve.figures import worlds as pictures


def course(first, last):
    return np.array([[first, 9.0, last], [first, 7.0, last]])


@pytest.fixture
def ended():
    """Two worlds, ranks 1 and 4 and the full one."""
    return {
        "easy": questions.Ended(
            10.0, 2.0,
            {1: course(8, 4), 4: course(8, 2), None: course(8.0, 1)},
            {1: np.array([0.97, 0.99]), 4: np.ones(2), None: np.array([0.9, 1.1])},
        ),
        "hard": questions.Ended(
            10.0, 5.0,
            {1: course(4, 1), 4: course(4, 2), None: course(4.0, 2.0)},
            {1: np.zeros(2), 4: np.full(2, 0.46), None: np.array([0.4, 0.6])},
        ),
    }  # fmt: skip


def test_one_world_by_hand(ended):
    easy, hard = ended["easy"], ended["hard"]
    assert (easy.kept, easy.middle, easy.first, easy.last(), easy.left) == (
        0.2, 1.0, 8, 1, 0.125
    )  # fmt: skip
    assert (easy.last(4), easy.falls, hard.falls) == (2, 2, 0)
    assert (easy.enough, hard.enough) == (1, 4)
    assert hard._replace(plans={1: np.zeros(1), None: np.ones(1)}).enough is None


def test_all_worlds_by_hand(ended):
    assert questions.facts(ended) == {
        "worst": "hard", "plans-worst": 0.5,
        "slow": "hard", "slow-left": 50, "falls": 2, "steps": 4, "rank-one": 1, "asked": 2,
    }  # fmt: skip
    assert questions.hardest(ended, ["easy"]) == "easy"
    assert questions.hardest(ended, []) == "hard"


def test_the_table_of_worlds(ended):
    lines = questions.table(ended).splitlines()
    assert lines[2] == ("| easy | 8.00 → 1.0 | 10.0 → 2.0 | 20% | 1.000 (0.900 to 1.100) |")
    nothing = ended["hard"]._replace(plans={None: np.array([np.nan])})
    assert questions.table({"flat": nothing}).endswith("| none is better |")


def test_answers_for_a_world_of_ones_own_by_hand(ended):
    plain = ended["easy"]._replace(after=15.0, losses={None: course(900, 300)})
    answer = questions.answers(ended["easy"], plain, np.array([0.2, 0.4]))
    assert "| 20% of the spread kept |" in answer
    assert "performance 0.30 (0.20 to 0.40)" in answer
    assert "| 150% of the spread kept, median performance 1.00 |" in answer


def test_sizes_of_small_and_large_worlds(monkeypatch):
    world = random_mdp(0, 4, 2)
    assert questions.amount("quick", world) == (4, 2_400)
    assert questions.ranks("paper", {"a": world}) == [1, 2, 3]
    assert questions.ranks("smoke", {"a": world}) == [1]
    said = questions.source("quick", 3, {"Taxi": world}, "Taxi")
    assert said == (
        "Preset quick, seed 3; 4 runs of 2,400 steps of batch 20, Taxi 2 of 200"
    )
    monkeypatch.setattr(questions, "LARGE", 31)
    assert questions.is_large(world)
    assert questions.amount("quick", world) == (2, 200)
    assert "Taxi" not in questions.source("quick", 3, {"a": world}, "a")


def test_drawn_models_are_apart_and_the_same_again():
    world = random_mdp(0, 4, 2)
    first, second = questions.drawn(world, 2, 0, "a")
    assert first.discount == world.discount
    assert np.abs(first.reward).max() <= 1
    assert np.abs(first.transition - second.transition).max() > 0.01
    np.testing.assert_array_equal(questions.drawn(world, 1, 0, "a")[0].reward, first.reward)


def test_the_table_of_optima():
    env = pve.MDP([[0.0, 1.0]], np.ones((1, 2, 1)), 0.9)
    best = {"one": pve.policy_iteration(env)}
    line = own_world.optima_table({"one": env}, best, {"one": (5.0, 10.0)}).splitlines()[-1]
    assert line == "| one | 1 | 2 | 0.9 | 0 to 1 | 10.0 to 10.0 | 10.00 | 5.00 |"


def test_shown_plans_are_the_best_of_their_kind():
    env = pve.MDP([[0.0, 1.0], [1.0, 0.0]], np.full((2, 2, 2), 0.5), 0.9)
    optimal = pve.policy_iteration(env)[1]
    shown = own_world.shown_plans(env, optimal, [env], lambda plan: plan[0, 1])
    constant = shown["the best constant move"][0]
    np.testing.assert_array_equal(constant, [[0, 1], [0, 1]])
    np.testing.assert_array_equal(shown["of the models (medians)"][0], optimal)
    assert "of the models (medians)" not in own_world.shown_plans(env, optimal, (), np.sum)
    rows = [["a", "b", "1", "2", "3", "4"]]
    assert own_world.assessment_table(rows).endswith("| a | b | 1 | 2 | 3 | 4 |")


def test_the_picture_of_ranks(drawn):
    planned = {"b": [np.array([0.2, 0.4]), np.array([1.0])]}
    figure = pictures.ranks_of_worlds({"b": [3.0, 2.0]}, planned, [1], ["a", "b"])
    drawn(figure)
    left, right = figure.axes
    assert list(left.get_lines()[0].get_ydata()) == [3, 2]
    assert left.get_lines()[0].get_color() == pictures.PALETTE[1]
    median, first, second, _ = right.get_lines()
    np.testing.assert_allclose(median.get_ydata(), [0.3, 1])
    assert (list(first.get_ydata()), list(second.get_ydata())) == ([0.2, 0.4], [1])
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["1", "full"]


def test_the_picture_of_three_maps(drawn):
    garden = pve.grid_world("####\n#G #\n#  #\n####\n")
    best = {"Garden": pve.policy_iteration(garden.mdp)}
    for name, version in (("FrozenLake", "v1"), ("CliffWalking", "v1")):
        best[name] = pve.policy_iteration(pve.from_gymnasium(f"{name}-{version}"))
    figure = pictures.optima_on_maps(garden, best, {"FrozenLake": [5, 7, 11, 12, 15]})
    drawn(figure)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == ["Garden", "FrozenLake", "CliffWalking"]
    lake = figure.axes[1].images[0].get_array()
    np.testing.assert_allclose(lake, best["FrozenLake"][0].reshape(4, 4))
