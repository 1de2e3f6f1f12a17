"""A report: its numbers against what computes them alone, its page, its command."""

import dataclasses
import math
import re
import shlex
import sys
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import pve
from pve import cli
from pve.cli import main
from pve.figures.model_on_map import plan_on_map
from pve.figures.report import by_state
from pve.report import analysis, page
from pve.worlds.places import find_place

# As many policies as are drawn to tell states apart: one compiled program draws both.
SMALL = analysis.Effort(
    pairs=6, widths=2, policies=analysis.TWIN_POLICIES, steps=40, runs=2, ranks=(1, 3)
)
MAP = """
#######
#  #<G#
#     #
#######
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A report on a small map, trained for a moment, and its folder."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "a<b.txt").write_text(MAP.replace("<", " "), encoding="utf-8")
    place = find_place(f"map:{folder / 'a<b.txt'}", 0.9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analysis, "effort_for", lambda _: SMALL)
        found = analysis.analyse(place, 3, progress=False)
    return found, page.write_report(found, folder / "out", "pve report a<b.txt")


def test_the_optimum_is_the_worlds(written):
    found, paths = written
    value, plan = pve.policy_iteration(found.place.mdp)
    states = pd.read_csv(paths[1])
    np.testing.assert_allclose(states["value"], value)
    np.testing.assert_array_equal(states["action"], plan.argmax(-1))
    best = found.plans.set_index("plan").loc["optimal"]
    assert best["mean value"] == pytest.approx(value.mean())
    assert best["optimal in"] == 1
    assert best["reaches a goal"] == pytest.approx(1)


def test_tables_have_a_row_for_each_question(written):
    found, _ = written
    assert len(found.pairs) == SMALL.pairs
    assert found.pairs["reward to"].notna().sum() == SMALL.widths
    assert list(found.orders["order"]) == [k for k in analysis.ORDERS for _ in range(2)]
    assert list(found.orders["steps"]) == [10, 40] * len(analysis.ORDERS)
    assert len(found.ranks) == 2 * 2 * len(SMALL.ranks)
    assert (found.ranks["performance, lowest"] <= found.ranks["performance"]).all()
    assert (found.pairs["reward from"].dropna() < 0).all()


def test_csv_hold_all_numbers(written):
    found, paths = written
    for path in paths[1:-1]:
        table = pd.read_csv(path)
        expected = getattr(found, path.stem)
        number = expected.select_dtypes("number").columns
        np.testing.assert_allclose(table[number], expected[number])


def test_the_page_needs_nothing_else(written):
    text = written[1][0].read_text(encoding="utf-8")
    assert "a&lt;b.txt" in text
    assert "a<b.txt" not in text
    assert "<script" not in text
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert len(sources) == 3
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert text.count("<img") == len(re.findall(r'<img [^>]*alt="[^"]+"', text))
    assert "Seed 3; 2 runs" in text


def test_a_report_is_the_same_again(written):
    found, _ = written
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analysis, "effort_for", lambda _: SMALL)
        again = analysis.analyse(found.place, 3, progress=False)
    for name in ("states", "plans", "pairs", "orders", "ranks"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(again, name))


def test_facts_of_a_lake():
    """FrozenLake's own map: four holes and the goal are ends, worth nothing all alike."""
    place = find_place("gymnasium:FrozenLake-v1")
    asked = analysis._Questions(place, 0, SMALL, analysis._Bar(None))
    value, _ = pve.policy_iteration(place.mdp)
    facts = asked.facts(value)
    assert facts["states"] == 16
    assert facts["pairs of a state and a legal action"] == 64
    assert facts["states that no action leaves"] == 5
    assert facts["states that are worth the same under 50 random policies"] == 5
    assert facts["goals that are known"] == 1
    assert facts["states from which no goal can be reached"] == 4
    assert facts["next states of a pair, median"] == 3
    assert facts["optimal value, mean over states"] == pytest.approx(value.mean())


def test_legal_actions_are_kept_to(written):
    """In the map's state 1 action 1 is not legal: it is no pair, and no plan takes it.

    Otherwise the best there is; in the map's size, whose programs are compiled already.
    """
    mdp = written[0].place.mdp
    reward = mdp.reward.copy()
    reward[1] = [2 * np.abs(reward).max(), -np.inf, *np.zeros(mdp.num_actions - 2)]
    random = np.random.default_rng(0)
    shape = mdp.num_states, mdp.num_actions
    transition = random.dirichlet(np.ones(mdp.num_states), shape)
    env = pve.MDP(reward, transition, mdp.discount)
    place = find_place("four-rooms")
    place = type(place)("mine", env, None, None, (), np.arange(0), {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analysis, "effort_for", lambda _: SMALL)
        found = analysis.analyse(place, 0, progress=False)
    assert found.world["pairs of a state and a legal action"] == reward.size - 1
    assert ("1", "1") not in set(
        zip(found.pairs["state"], found.pairs["action"], strict=True)
    )
    assert np.isfinite(found.plans["mean value"]).all()
    assert "<img" in page.compose(found, "by hand")


def test_names_are_kept_to_the_page(written):
    """Of an MDP with names; of a map its rows, columns and moves."""
    found = written[0]
    page_of_map = written[1][0].read_text(encoding="utf-8")
    assert "row 2, column 5" in page_of_map
    assert "<td>right</td>" in page_of_map
    mdp, names = found.place.mdp, [f"cell <{n}>" for n in range(len(found.value))]
    moves = ["west", "east", "south", "north"]
    mdp = dataclasses.replace(mdp, state_names=names, action_names=moves)
    place = dataclasses.replace(found.place, mdp=mdp)
    pairs = analysis._Questions(place, 3, SMALL, analysis._Bar(None)).pairs()
    assert list(pairs["action"]) == [
        moves[["left", "right", "down", "up"].index(a)] for a in found.pairs["action"]
    ]
    numbers = found.pairs.select_dtypes("number").columns
    pd.testing.assert_frame_equal(pairs[numbers], found.pairs[numbers])
    states = analysis.states_table(mdp, found.value, found.plan)
    named = dataclasses.replace(found, place=place, states=states, pairs=pairs)
    text = page.compose(named, "by hand")
    best = int(found.value.argmax())
    assert f"<td>cell &lt;{best}&gt;</td>" in text
    assert f"<td>{moves[int(found.plan[best].argmax())]}</td>" in text
    assert "<td>right</td>" not in text


def test_names_are_kept_to_the_figure_of_a_world_without_a_map(drawn):
    states = pd.DataFrame(
        {"name": ["dry", "$5 wet"], "value": [2.0, -1.0], "action name": ["stay", "pump"]}
    )
    figure = by_state(states)
    drawn(figure)
    (ax,) = figure.axes
    words = [label.get_text() for label in ax.get_yticklabels()]
    assert words == ["dry", r"\$5 wet"]
    assert [text.get_text() for text in ax.texts] == ["stay", "pump"]
    assert [bar.get_width() for bar in ax.patches] == [2.0, -1.0]


def test_few_states_without_a_map_are_drawn_with_the_plan(written):
    few = dataclasses.replace(written[0].place, xy=None)
    text = page.compose(dataclasses.replace(written[0], place=few), "by hand")
    assert "The optimal value of each state, and beside it" in text


@pytest.mark.parametrize(
    ("dimensions", "said"),
    [([0, 0], "Only the world itself: in all 2"), ([0, 3], "in 1 of 2 pairs .* up to 3")],
)
def test_what_is_said_of_the_class(dimensions, said):
    pairs = pd.DataFrame({"dimension": dimensions, "staying": [np.nan, 0.25]})
    assert re.search(said, page.class_sentence(pairs))
    assert "by 0.25 of the largest" in page.class_sentence(pairs)


def test_what_is_said_of_the_start():
    rows = [("optimal", 2.0, 1.0), ("uniform", 0.5, np.nan)]
    plans = pd.DataFrame(rows, columns=["plan", "value from the start", "reaches a goal"])
    said = page.plan_sentence(plans, starts=True)
    assert said.startswith(
        "From the start the optimal plan is worth 2, acting at random 0.5."
    )
    assert said.endswith("reaches a goal with probability 100.0%.")
    said = page.plan_sentence(plans, starts=False)
    assert said.startswith("On the mean over all states the optimal plan is worth 2")


def test_what_is_said_of_the_spread():
    rows = [(1, 10, 0.5), (1, 40, 0.1), (math.inf, 10, 0.31), (math.inf, 40, 0.3)]
    orders = pd.DataFrame(rows, columns=["order", "steps", "spread kept"])
    said = page.spread_sentence(orders)
    assert said.endswith("models keep: 10% at order 1 (still moving), 30% at order ∞.")


def test_what_is_said_of_ranks():
    rows = [
        (kind, rank, steps, value)
        for kind, values in (("deterministic", (0.5, 0.95)), ("stochastic", (0.7, 0.6)))
        for rank in (2, 4)
        for steps, value in zip((10, 40), values, strict=True)
    ]
    ranks = pd.DataFrame(rows, columns=["policies", "rank", "steps", "performance"])
    said = page.rank_sentence(ranks)
    assert "rank 2 with deterministic policies, none of these ranks with stochastic" in said
    assert "In 2 of 4 cases more training made the median plan worse" in said
    assert "not all" not in said
    fallen = ranks.assign(performance=ranks["performance"].where(ranks["rank"] < 4, 0.8))
    fallen.loc[fallen["rank"] == 2, "performance"] = 0.9
    assert "rank 2 (not all larger ones do) with determ" in page.rank_sentence(fallen)
    ranks["performance"] = np.nan
    assert page.rank_sentence(ranks).startswith("All policies are worth the same")


def test_effort_falls_with_size():
    rooms = pve.four_rooms().mdp
    large = pve.MDP(np.zeros((400, 4)), np.full((400, 4, 400), 1 / 400), 0.9)
    few, many = analysis.effort_for(large), analysis.effort_for(rooms)
    assert few.steps < many.steps
    assert few.pairs < many.pairs
    assert few.ranks[-1] <= 400


def test_a_world_too_large_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(analysis, "LARGEST", 1000)
    assert main(["report", "four-rooms", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "104 states and 4 actions: a model is 43,264 numbers" in error
    assert error.count("\n") == 1


def test_a_warning_is_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(analysis, "LARGEST", 10)
    (tmp_path / "cave.txt").write_text("S #G\n", encoding="utf-8")
    words = ["report", f"map:{tmp_path / 'cave.txt'}", "--out", str(tmp_path / "out")]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(words) == 2
    warned, refused = capsys.readouterr().err.splitlines()
    assert warned.startswith("pve report: map: from 2 of 3 cells no goal can be reached")
    assert refused.startswith("pve report: the world has 3 states")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "environment is 'nowhere'"),
        (["four-rooms", "--seed", "x"], "seed is 'x'"),
        (["four-rooms", "--discount", "1"], "discount is 1"),
        (["four-rooms", "--out", ""], "--out is ''"),
    ],
)
def test_bad_words_are_refused_before_any_work(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["report", *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_command_writes_a_report(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(analysis, "effort_for", lambda _: SMALL)
    (tmp_path / "cave.txt").write_text(MAP.replace("<", " "), encoding="utf-8")
    out = tmp_path / "out"
    words = [
        "report",
        f"map:{tmp_path / 'cave.txt'}",
        "--discount",
        "0.9",
        "--out",
        str(out),
    ]
    assert main(words) == 0
    printed = capsys.readouterr().out.split()
    assert str(out / "index.html") in printed
    assert {p.name for p in out.iterdir()} == {
        *(
            f"{name}.csv"
            for name in ("states", "plans", "pairs", "orders", "ranks", "world")
        ),
        "index.html",
    }


def test_goals_and_other_ends_are_marked_on_a_map():
    place = find_place("gymnasium:FrozenLake-v1")
    figure = plan_on_map(place, *pve.policy_iteration(place.mdp))
    lines = {line.get_marker(): line.get_xydata() for line in figure.axes[0].lines}
    plt.close(figure)
    assert lines["*"].tolist() == [[3, 3]]
    holes = {tuple(map(int, xy)) for xy in lines["X"]}
    assert holes == {(1, 1), (3, 1), (3, 2), (0, 3)}  # SFFF FHFH FFFH HFFG


def test_the_command_can_be_pasted_into_a_shell(monkeypatch):
    words = ["report", "gymnasium:FrozenLake-v1?map_name=8x8&is_slippery=false"]
    monkeypatch.setattr(sys, "argv", ["pve", *words, "--out", "a b"])
    line = cli._command_line()
    assert shlex.split(line)[2:] == ["pve", *words, "--out", "a b"]
    assert "'gymnasium:FrozenLake-v1?map_name=8x8&is_slippery=false'" in line


def test_the_class_of_a_pair_is_as_large_as_its_idle_states():
    """On the lake these are its ends; each adds a dimension to all pairs elsewhere."""
    place = find_place("gymnasium:FrozenLake-v1")
    effort = analysis.effort_for(place.mdp)._replace(widths=1, policies=100)
    with analysis._bar(1, False) as bar:
        pairs = analysis._Questions(place, 0, effort, bar).pairs()
    names = analysis.names_of_states(place.mdp)
    ends = {names[s] for s in (5, 7, 11, 12, 15)}  # SFFF FHFH FFFH HFFG
    assert {"row 1, column 1"} < set(pairs["state"])
    for state, action, dimension in pairs[["state", "action", "dimension"]].values:
        # On ice "left" never leads right, and the goal has no other door: all is worth 0.
        lost = (state, action) == ("row 4, column 3", "left")
        assert dimension == (15 if lost else 5 - (state in ends)), (state, action)
    assert (pairs["policies"] > place.mdp.num_states).all()


def test_a_start_from_which_nothing_is_reached_is_worth_nothing(tmp_path):
    (tmp_path / "cave.txt").write_text("########\n#S  # G#\n########\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="goal"):
        place = find_place(f"map:{tmp_path / 'cave.txt'}?slip=0.1")
    effort = analysis.effort_for(place.mdp)._replace(policies=50)
    with analysis._bar(1, False) as bar:
        asked = analysis._Questions(place, 0, effort, bar)
        plans = asked.plans(pve.policy_iteration(place.mdp)[1], {})
    assert (plans["value from the start"] == 0).all()
    assert (plans["reaches a goal"] == 0).all()
    assert plans["mean value"].iloc[0] > 1


@pytest.mark.parametrize(
    ("reward", "unit"), [(1.0, 1.0), (1.0, 1e9), (-1e10, 1.0)], ids=["", "×1e9", "penalty"]
)
def test_worlds_of_any_unit_are_analysed(tmp_path, monkeypatch, reward, unit):
    """Three states, an action that one of them must not take, in three units."""
    monkeypatch.setattr(analysis, "effort_for", lambda _: SMALL)
    rewards = np.array([[7, 0, 0], [0, reward, -50], [reward, 32, reward]])
    moves = [
        [[0.7, 0.3, 0], [1, 0, 0], [0.8, 0.2, 0]],
        [[0, 1, 0], [0, 1, 0], [0, 0, 1]],
        [[0, 0, 1], [0.8, 0.1, 0.1], [0, 0, 1]],
    ]
    pve.MDP(unit * rewards, moves, 0.95).save(tmp_path / "small.npz")
    found = analysis.analyse(find_place(f"npz:{tmp_path / 'small.npz'}"), progress=False)
    ranges = found.pairs[["reward from", "reward to"]].dropna()
    assert len(ranges) == SMALL.widths
    assert (ranges["reward from"] <= 0).all()
    assert (ranges["reward to"] >= 0).all()
    assert page.write_report(found, tmp_path / "out", "pve report")


def test_ranges_are_in_the_rewards_own_unit(tmp_path, monkeypatch):
    monkeypatch.setattr(analysis, "effort_for", lambda _: SMALL)
    ranges = []
    for factor in (1, 1000):
        reward = factor * np.array([[1.0, 2], [3, 5], [7, 11]])
        path = tmp_path / f"{factor}.npz"
        pve.MDP(reward, np.full((3, 2, 3), 1 / 3), 0.9).save(path)
        found = analysis.analyse(find_place(f"npz:{path}"), progress=False)
        ranges.append(found.pairs["reward to"].dropna().to_numpy())
    np.testing.assert_allclose(1000 * ranges[0], ranges[1], rtol=1e-6, atol=1e-9)


def test_what_is_said_of_a_world_without_a_future(written):
    """At discount 0 any transitions will do; of 0.999999 the page shows all digits."""
    mdp = dataclasses.replace(written[0].place.mdp, discount=0.0)
    place = dataclasses.replace(written[0].place, mdp=mdp)
    pairs = analysis._Questions(place, 3, SMALL, analysis._Bar(None)).pairs()
    assert (pairs["dimension"] == mdp.num_states - 1).all()
    assert (pairs["flattest"] == 0).all()
    world = written[0].world | {"discount": 0.999999}
    assert "<td>0.999999</td>" in page._size(dataclasses.replace(written[0], world=world))


def test_few_pairs_of_a_large_world_are_taken_by_half_the_policies(monkeypatch):
    """Fewer policies than choices ask for, and the same class: what is idle is free."""
    random, S = np.random.default_rng(0), 8
    legal = random.random((S, 5)) < 0.7
    legal[:, 0] = True
    legal[3] = [True, *[False] * 4]  # where there is no choice: one dimension for others
    mdp = pve.MDP(
        random.normal(size=(S, 5)), random.dirichlet(np.ones(S), (S, 5)), 0.9, legal
    )
    place = dataclasses.replace(find_place("four-rooms"), mdp=mdp, goals=np.arange(0))
    asked = analysis._Questions(place, 0, SMALL, analysis._Bar(None))
    counts = [len(asked._policies_for_pairs()[1])]
    monkeypatch.setattr(analysis, "SMALL", 7)
    examined, policies = asked._policies_for_pairs()
    assert [*counts, len(policies)] == [5 * 56, 2 * 56]
    assert not (policies * ~legal).any()
    assert (policies.sum(-1) == 1).all()
    assert len(examined) == SMALL.pairs
    assert all(policies[:, s, a].mean() > 0.4 for s, a in examined)
    pairs = asked.pairs()
    assert list(pairs["dimension"]) == [int(s != 3) for s, _ in examined]


def test_a_world_of_one_state(tmp_path, monkeypatch):
    small = SMALL._replace(ranks=(1,))
    monkeypatch.setattr(analysis, "effort_for", lambda _: small)
    (tmp_path / "one.txt").write_text("G\n")
    found = analysis.analyse(find_place(f"map:{tmp_path / 'one.txt'}"), progress=False)
    assert len(found.states) == 1
    assert page.write_report(found, tmp_path / "out", "pve report")
