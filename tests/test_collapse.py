"""What the pages say of plans that fall while their losses do."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import pve
from pve import figures
from pve.book import collapse
from pve.equivalence.overrating import Overrating, Residuals, overrating
from pve.figures.collapse import UNEVEN
from pve.results import moments

SETS = ("deterministic", "stochastic")


@pytest.fixture
def found(rooms):
    """Two sets, one run, two moments: the last stochastic model has a mirage."""
    env = rooms.mdp
    even = pve.MDP(env.reward + 0.2, env.transition, env.discount)
    gap = overrating(env, env).gap
    severe = pve.MDP(env.reward - 0.3 * gap, env.transition, env.discount)
    reward = env.reward.copy()
    reward[0] = 5  # the corner at the other end of the map
    stays = env.transition.copy()
    stays[0] = np.eye(env.num_states)[0]
    models = {
        ("deterministic", 0, 10): even,
        ("deterministic", 0, 20): severe,  # it underrates what is wrong, harmlessly
        ("stochastic", 0, 10): even,
        ("stochastic", 0, 20): pve.MDP(reward, stays, env.discount),
    }
    return {key: overrating(model, env) for key, model in models.items()}


@pytest.fixture
def seen():
    return {
        ("deterministic", 0): Residuals(0.7, 0.8, 1.3),
        ("stochastic", 0): Residuals(0.4, 0.43, 1.0),
    }


def test_the_table_of_moments(found):
    lines = collapse.moments_table(found).splitlines()
    assert len(lines) == 2 + 2
    best = found["deterministic", 0, 20].best.mean()
    assert f"| deterministic | 0 | {best:.1f} → {best:.1f} |" in lines[2]
    assert f"| {best + 20:.1f} → {best:.1f} | +20.0 → +0.0 | 0.0 → 0.0 |" in lines[2]
    mirage = found["stochastic", 0, 20]
    assert lines[3].startswith(
        f"| stochastic | 0 | {best:.1f} → {mirage.worth.mean():.1f} |"
    )
    assert f"→ {mirage.excess.std():.1f} |" in lines[3]


def test_the_table_of_actions(found, seen):
    lines = collapse.actions_table(found, seen).splitlines()
    assert lines[2].startswith("| deterministic | 0 | 0.80 | 1.30 |")
    lean = found["stochastic", 0, 20].lean
    assert lines[3] == f"| stochastic | 0 | 0.43 | 1.00 | {lean:+.2f} | " + (
        f"{100 * found['stochastic', 0, 20].tempting:.0f} % |"
    )


def test_what_the_prose_says(found, seen):
    predicted = {
        (mode, run): 2 * found[mode, run, 20].error + found[mode, run, 20].gap * 1e-6
        for mode, run in seen
    }
    told = collapse.facts(found, seen, predicted)
    assert collapse.fallen(found) == [0]
    assert told["fallen-number"] == 1
    assert told["at-goal"] == "none"
    assert told["fell-least"] == "0"
    assert told["blind-fit-stochastic"] == pytest.approx(1, abs=1e-3)
    assert told["mixture-deterministic"] == 0.8
    assert told["single-stochastic"] == 1.0


@pytest.fixture
def models(rooms):
    """One run of rank one, at two steps."""
    S, A = rooms.mdp.num_states, rooms.mdp.num_actions
    random = np.random.default_rng(0)
    shape = (1, 1, 1, 2)
    return xr.Dataset(
        {
            "reward": (
                ("mode", "rank", "run", "step", "state", "action"),
                random.random((*shape, S, A)),
            ),
            "leave": (
                ("mode", "rank", "run", "step", "action", "latent", "state"),
                np.ones((*shape, A, 1, S)),
            ),
            "arrive": (
                ("mode", "rank", "run", "step", "next_state", "action", "latent"),
                np.full((*shape, S, A, 1), 1 / S),
            ),
        },
        {"mode": ["stochastic"], "rank": [1], "run": [3], "step": [10, 20]},
        {"discount": 0.99},
    )


def test_models_are_measured_by_set_run_and_step(models, rooms):
    found = collapse.measured(models, rooms.mdp)
    assert list(found) == [("stochastic", 3, 10), ("stochastic", 3, 20)]
    # It forgets where it was: what it claims differs by the first reward alone.
    assert np.ptp(found["stochastic", 3, 20].own) < 1


@pytest.fixture
def worth():
    """One set, two runs, as on the page: early errors, then late ones."""
    return xr.DataArray(
        [[[[68.0, 1, 2], [56, 3, 72]], [[70, 20, 0], [73, 70, 72]]]],
        {
            "mode": ["stochastic"],
            "run": [0, 1],
            "errors": list(collapse.FALLING),
            "transitions": [*collapse.FALLING, collapse.WORLDS],
        },
        ("mode", "run", "errors", "transitions"),
        attrs={"optimum": 73.0},
    )


def test_the_table_of_exchanges(worth):
    lines = collapse.exchange_table(worth).splitlines()
    assert lines[0].endswith("| late errors, the world’s transitions |")
    assert lines[3] == "| stochastic | 1 | 70.0 | 20.0 | 0.0 | 73.0 | 70.0 | 72.0 |"


def test_an_exchange_is_told_as_it_is_seen(worth):
    assert collapse.as_exchanged(worth, [0])
    for errors, transitions, value in (
        ("early", "late", 36.0),  # a plan that is still fairly good
        ("late", "early", 2.0),  # no better than with its own transitions
        ("late", "the world’s", 71.0),  # bad in the world, too
    ):
        other = worth.copy()
        other.loc["stochastic", 0, errors, transitions] = value
        assert not collapse.as_exchanged(other, [0])


@pytest.fixture
def recovered():
    """Of one run, whose fallen model's errors and transitions do no harm alone."""
    plans = [[69.0, 0.5, 34.0, 1.0], [65.0, 17.0, 60.0, 72.0], [66.0, 65.0, 72.0, 73.0]]
    return xr.DataArray(
        [[plans]],
        {
            "mode": ["stochastic"],
            "run": [1],
            "errors": list(collapse.COMING_BACK),
            "transitions": [*collapse.COMING_BACK, collapse.WORLDS],
        },
        ("mode", "run", "errors", "transitions"),
        attrs={"optimum": 73.0},
    )


def test_the_table_of_plans_that_came_back(recovered):
    lines = collapse.recovery_table(recovered).splitlines()
    assert len(lines) == 2 + 3
    assert lines[0].endswith("| last transitions | the world’s transitions |")
    assert lines[3] == "| 1 | fallen | 65.0 | **17.0** | 60.0 | 72.0 |"


@pytest.mark.parametrize(
    ("errors", "transitions", "value"),
    [
        ("fallen", "fallen", 36.0),  # a plan that has not fallen far
        ("fallen", "early", 50.0),  # the errors alone would do
        ("fallen", "the world’s", 50.0),
        ("last", "fallen", 50.0),  # the transitions alone would do
        ("early", slice("fallen", "last"), 60.0),  # early errors do no harm
    ],
)
def test_a_recovery_is_told_as_it_is_seen(recovered, errors, transitions, value):
    assert collapse.as_recovered(recovered)
    recovered.loc["stochastic", 1, errors, transitions] = value
    assert not collapse.as_recovered(recovered)


def test_exchanged_models_plan_as_they_would(models, rooms):
    """Early and late models of one transition: only the errors tell them apart."""
    worth = collapse.exchanged(models, rooms.mdp)
    assert worth.sizes == {"mode": 1, "run": 1, "errors": 2, "transitions": 3}
    own = [
        pve.performance(
            moments.model_at(models, mode="stochastic", rank=1, run=3, step=step), rooms.mdp
        )
        for step in (10, 20)
    ]
    for x in ("early", "late"):
        np.testing.assert_allclose(worth.sel(transitions=x).values.ravel(), own)
    assert worth.attrs["optimum"] == pytest.approx(
        pve.policy_iteration(rooms.mdp)[0].mean()
    )
    named = collapse.exchanged(models, rooms.mdp, ["one", "other"])
    np.testing.assert_array_equal(named, worth)
    assert list(named.transitions.values) == ["one", "other", collapse.WORLDS]


def test_the_table_of_rings(models, rooms):
    (line,) = collapse.rings_table(models, rooms.mdp, [3]).splitlines()[2:]
    assert line.startswith("| 3 | 0.01 | ")  # it goes to all 104 states alike
    model = moments.model_at(models, mode="stochastic", rank=1, run=3, step=20)
    found = overrating(model, rooms.mdp)
    ring = found.visits.argmax()
    back = rooms.mdp.transition[ring, found.action[ring], ring]
    assert line.startswith(f"| 3 | 0.01 | {back:.2f} | ")
    assert line.endswith(f" {(found.error - found.gap)[ring, found.action[ring]]:+.2f} |")


def test_claims_and_worth_are_where_they_belong(found):
    figure = figures.claims(found, "by hand")
    try:
        for ax, step in zip(figure.axes, (10, 20), strict=True):
            points = [
                line.get_ydata()[0] for line in ax.get_lines() if len(line.get_ydata())
            ]
            for mode in SETS:
                for value in (found[mode, 0, step].own, found[mode, 0, step].worth):
                    assert any(value.mean() == pytest.approx(float(y)) for y in points)
            assert ax.get_ylim()[1] > max(points)
    finally:
        plt.close(figure)


def test_mirages_mark_where_the_model_walks(found, rooms):
    chosen = [(mode, 0, step) for mode in SETS for step in (10, 20)]
    figure = figures.mirages(rooms, found, chosen, "by hand")
    try:
        for ax, key in zip(figure.axes, chosen, strict=False):
            rings = [line for line in ax.get_lines() if line.get_marker() == "o"]
            where = rooms.xy[found[key].visits.argmax()]
            assert [float(x[0]) for x in rings[0].get_data()] == list(where)
            assert f"is worth {found[key].worth.mean():.0f}" in ax.get_title()
            uneven = found[key].excess - found[key].excess.mean()
            shown = ax.images[0].get_array()
            assert shown.max() == pytest.approx(uneven.max(), abs=1e-9)
            assert ax.images[0].get_clim() == (-UNEVEN, UNEVEN)
        # The walk of the model with a mirage ends there, the others' at the goal.
        assert found["stochastic", 0, 20].visits.argmax() == 0
    finally:
        plt.close(figure)


def test_errors_above_the_gap_stand_out(found):
    late = {key: model for key, model in found.items() if key[2] == 20}
    figure = figures.errors_of_actions(late, "by hand")
    try:
        for ax, mode in zip(figure.axes, SETS, strict=True):
            model = late[mode, 0, 20]
            _, above, line, _ = ax.get_lines()
            assert len(above.get_xdata()) == int(
                (model.error > model.gap)[model.wrong].sum()
            )
            assert (np.array(above.get_ydata()) > np.array(above.get_xdata())).all()
            assert list(line.get_xdata()) == list(line.get_ydata())
    finally:
        plt.close(figure)


def test_what_is_told_is_seen_in_every_model():
    def model(excess, worth):
        best = np.full(4, 90.0)
        own, worth = best + np.asarray(excess), np.full(4, worth)
        return Overrating(None, own, worth, best, None, None, None, 0.5)

    told = {
        ("deterministic", 0, 10): model([20.0] * 4, 80.0),
        ("deterministic", 0, 20): model([-1.0] * 4, 50.0),
        ("stochastic", 0, 10): model([20.0] * 4, 80.0),
        ("stochastic", 0, 20): model([0, 0, 40, 40], 50.0),  # a mirage
        ("stochastic", 1, 10): model([12.0] * 4, 61.0),
        ("stochastic", 1, 20): model([1.0] * 4, 80.0),  # still good
    }
    assert collapse.as_told(told)
    for key, other in (
        (("stochastic", 0, 10), model([5.0] * 4, 80.0)),  # a modest claim, early
        (("stochastic", 0, 10), model([20.0] * 4, 50.0)),  # a bad plan, early
        (("deterministic", 0, 20), model([1.0] * 4, 80.0)),  # too high a claim
        (("stochastic", 0, 20), model([20.0] * 4, 50.0)),  # bad, but even
        (("stochastic", 0, 20), model([0, 0, 40, 40], 80.0)),  # uneven, but good
        (("stochastic", 1, 20), model([1.0] * 4, 50.0)),  # bad without a mirage
    ):
        assert not collapse.as_told({**told, key: other})
