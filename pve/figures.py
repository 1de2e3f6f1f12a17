"""The experiments' figures, from results to whole pictures.

Each function takes what `pve.load` returns and gives a figure that says under it which
seed and how many runs it shows. The chapters and ``python -m pve figures`` draw the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from pve import plots
from pve.experiments.configs import Config
from pve.gridworld import ACTION_NAMES, GridWorld, four_rooms, grid_world
from pve.mdp import MDP
from pve.measures import optimal_action_share, trajectories
from pve.planning import policy_iteration
from pve.policies import stream
from pve.results import load, load_model, present, unconverged
from pve.slides import Slides, spaced
from pve.store import make_folder

NUM_TRAJECTORIES, TRAJECTORY_LENGTH = 5_000, 30
VALUE_COLORS = ("#0072B2", "#56B4E9", "#009E73", "#D55E00")
SETTINGS = {
    "orders": "orders k",
    "ranks": "ranks d",
    "modes": "policy sets",
    "runs": "runs of each kind",
    "policies": "policies with their functions, each run",
    "perturbations": "of these, perturbed from one base policy",
    "published_paths": "improvement paths as in the published code",
    "batch": "batch",
    "steps": "steps",
    "learning_rate": "learning rate (Adam)",
    "decay": "its schedule",
    "every": "steps between two snapshots or evaluations",
}


def provenance(results: xr.Dataset) -> str:
    """What a figure says of its data: preset if known, seed, runs, steps, schedule."""
    facts = results.attrs
    preset = f"preset {facts['preset']}, " if "preset" in facts else ""
    return (
        f"{preset}seed {facts['seed']}, {results.sizes['run']} runs each, "
        f"{facts['steps']:,} steps of batch {facts['batch']}, "
        f"Adam {facts['learning_rate']:g} {facts['decay']}"
    )


def _sign(figure: Figure, text: str) -> Figure:
    figure.supxlabel(text, fontsize=7, color=plots.GREY, x=0.01, ha="left")
    return figure


def settings(ours: Config, papers: Config) -> str:
    """Two settings of an experiment side by side, a table in Markdown.

    Args:
      ours: the setting of a page.
      papers: the setting to compare it with.
    """
    rows = ["| | the paper | this page |", "|---|---|---|"]
    for field, meaning in SETTINGS.items():
        if hasattr(ours, field):
            texts = [_setting(getattr(config, field)) for config in (papers, ours)]
            mark = "" if texts[0] == texts[1] else "**"
            rows.append(f"| {meaning} | {texts[0]} | {mark}{texts[1]}{mark} |")
    return "\n".join(rows)


def _setting(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_setting, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value == math.inf:
        return "∞"
    return f"{value:,}" if isinstance(value, int) else f"{value}"


def diameters(results: xr.Dataset) -> Figure:
    """Diameter and spread of the trained models against the order."""
    figure, axes = plots.new_figure(1, 2, figsize=(7.2, 3.4))
    orders = results.order.values
    hollow = unconverged(results.spread).values
    if "published_diameter" in results:
        measure, errors = results.published_diameter, results.published_diameter_error
        title = "diameter: range of the 1st component,\nmean over groups of 20 runs"
    else:
        measure, errors = results.diameter, None
        title = f"diameter: range of the 1st component\namong {results.sizes['run']} runs"
    plots.draw_diameters(orders, measure.values, hollow, axes[0], errors=errors)
    axes[0].set_title(title)
    axes[0].set_ylabel("distance")
    start = float(results.spread.isel(step=0).mean())
    axes[1].axhline(start, color=plots.GREY, ls=":", lw=1)
    axes[1].annotate(
        "before training", (0.03, start), xycoords=("axes fraction", "data"),
        va="bottom", color=plots.GREY, fontsize=9,
    )  # fmt: skip
    plots.draw_diameters(orders, results.spread.isel(step=-1).values, hollow, axes[1])
    axes[1].set_title("spread: RMS distance\nbetween two models")
    return _sign(figure, provenance(results) + "; hollow: still moving at the end")


def spreads(results: xr.Dataset) -> Figure:
    """Spread of the models of each order against training, and against the loss."""
    figure, axes = plots.new_figure(1, 2, figsize=(7.2, 3.6), sharey=True)
    loss = _loss_at_steps(results)
    for order in results.order.values:
        color, label = plots.order_color(order), plots.order_label(order)
        spread = results.spread.sel(order=order)
        axes[0].plot(spread.step, spread, color=color, label=label)
        # The snapshot before training has no loss of its own.
        reached = loss.sel(order=order).values
        axes[1].plot(reached, spread[1:], ".-", ms=4, lw=1, color=color)
        axes[1].plot(reached[-1], spread[-1], "o", ms=7, color=color)
    axes[0].set(xlabel="training step", ylabel="RMS distance between two models")
    axes[0].set_yscale("log")
    axes[1].set(xlabel="loss of that order, median over runs", xscale="log")
    axes[1].invert_xaxis()
    axes[1].xaxis.set_minor_formatter(NullFormatter())  # they would overlap
    _outside_legend(figure, axes[0], len(results.order))
    return _sign(figure, provenance(results) + "; right: dots mark the end of training")


def _outside_legend(figure: Figure, ax: Any, columns: int) -> None:
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False)


def _loss_at_steps(results: xr.Dataset) -> xr.DataArray:
    """The median over runs of the recorded loss just before each snapshot."""
    return results.loss.median("run").sel(logged_step=results.step.values[1:])


def progress(results: xr.Dataset) -> Figure:
    """Loss and normalised performance of every run against training, by order."""
    figure, axes = plots.new_figure(1, 2, figsize=(7.2, 3.6))
    for order in results.order.values:
        style = {"color": plots.order_color(order), "label": plots.order_label(order)}
        chosen = results.sel(order=order)
        plots.draw_runs(chosen.logged_step, chosen.loss, axes[0], **style)
        plots.draw_runs(chosen.step, chosen.normalised_performance, axes[1], **style)
    axes[0].set(xlabel="training step", ylabel="loss of that order", yscale="log")
    axes[1].set(xlabel="training step", ylabel="performance (0: uniform, 1: optimal)")
    axes[1].axhline(1, color=plots.GREY, ls="--", lw=1)
    _outside_legend(figure, axes[0], len(results.order))
    return _sign(figure, provenance(results) + "; thin: single runs, thick: medians")


def clouds(results: xr.Dataset, across: int = 3) -> Figure:
    """Models in the principal plane of each order, by training time and performance.

    Args:
      results: of the diameter experiment.
      across: orders in a row.
    """
    orders = results.order.values
    bands, across = math.ceil(len(orders) / across), min(across, len(orders))
    figure, grid = plots.new_figure(
        2 * bands, across, figsize=(2.3 * across + 0.9, 4.9 * bands + 0.2), squeeze=False,
        sharex=True, sharey=True, subplot_kw={"box_aspect": 1},
    )  # fmt: skip
    last = float(results.step[-1])
    performance = results.normalised_performance
    limits = (min(0.0, float(performance.min())), 1.0)
    for place in range(bands * across):
        band, column = divmod(place, across)
        above, below = grid[2 * band, column], grid[2 * band + 1, column]
        if place >= len(orders):
            above.set_axis_off()
            below.set_axis_off()
            continue
        order = orders[place]
        chosen = results.sel(order=order).stack(point=("run", "step"))
        # Late snapshots are drawn over early ones.
        chosen = chosen.sortby("step").dropna("point", subset=["score"])
        scores = chosen.score.transpose("point", "component").values
        time = plots.draw_cloud(scores, chosen.step, above, limits=(0, last))
        value = plots.draw_cloud(
            scores, chosen.normalised_performance, below, limits=limits, cmap="cividis"
        )
        above.set_title(plots.order_label(order))
        below.set_xlabel("1st component")
        below.tick_params(labelbottom=True)
    for row in grid:
        row[0].set_ylabel("2nd component")
    for band in range(bands):
        for points, row, label in (
            (time, grid[2 * band], "training step"),
            (value, grid[2 * band + 1], "performance (1: optimal)"),
        ):
            figure.colorbar(points, ax=list(row), label=label, pad=0.01)
    return _sign(figure, provenance(results) + "; one point per run and snapshot")


def ranges(
    counts: Any, noise: Any, trained: dict[float, float], num: int, source: str
) -> Figure:
    """The range of the first component, as a share of the RMS distance, by the count.

    Args:
      counts: ``[counts]``, numbers of models in a cloud.
      noise: ``[counts, repeats]``, the ratios of clouds of noise.
      trained: the ratio of the trained models of each order.
      num: how many trained models of an order there are.
      source: what the figure says of its data.
    """
    figure, ax = plots.new_figure(figsize=(5.6, 3.4))
    plots.draw_runs(
        counts, np.transpose(noise), ax, color=plots.GREY, label="equal clouds of noise"
    )
    for order, ratio in trained.items():
        label = f"trained models, {plots.order_label(order)}"
        ax.plot(num, ratio, "o", ms=8, color=plots.order_color(order), label=label)
    ax.set(xlabel="number of models N", ylabel="range / RMS distance", xscale="log")
    ticks = sorted({*counts, num})
    ticks = [n for n in ticks if n == num or abs(math.log(n / num)) > 0.15]
    ax.set_xticks(ticks, [str(n) for n in ticks], minor=False)
    ax.minorticks_off()
    ax.set_ylim(0, None)
    ax.legend(loc="lower left")
    return _sign(figure, source)


def flatness(
    distances: Any,
    losses: dict[float, Any],
    trained: dict[float, tuple[Any, Any]],
    source: str,
) -> Figure:
    """Loss against distance from the environment: lazy models and trained ones.

    Args:
      distances: ``[points]``, of the lazy models.
      losses: for each order the lazy models' losses ``[points]``.
      trained: for each order the trained models' distances and losses, ``[N]`` each.
      source: what the figure says of the models.
    """
    figure, ax = plots.new_figure(figsize=(6.4, 3.9))
    for order, values in losses.items():
        color, label = plots.order_color(order), plots.order_label(order)
        ax.plot(distances, values, color=color, label=f"lazy models, {label}")
    for order, (far, reached) in trained.items():
        color, label = plots.order_color(order), plots.order_label(order)
        ax.plot(far, reached, "o", ms=6, mfc=color, mec="white", label=f"trained, {label}")
    ax.set(xlabel="distance from the environment", ylabel="loss", yscale="log")
    _outside_legend(figure, ax, 2)
    return _sign(figure, source)


def imagined(world: GridWorld, model: MDP, seed: int, source: str) -> Figure:
    """Trajectories of each one's optimal policy, in the environment and in a model.

    Args:
      world: the grid world.
      model: a model of it.
      seed: of the sampling.
      source: what the figure says of the model.
    """
    figure, axes = plots.new_figure(1, 2, figsize=(7.2, 3.6))
    start = corner(world)
    for ax, mdp, name in zip(
        axes, (world.mdp, model), ("in the environment", "in the model"), strict=True
    ):
        _, policy = policy_iteration(mdp)
        states = trajectories(
            stream(seed, "figures", "trajectories", name),
            mdp, policy, start, NUM_TRAJECTORIES, TRAJECTORY_LENGTH,
        )  # fmt: skip
        lines = plots.draw_trajectories(world.xy[states], world.walls, ax)
        ax.set_title(f"{name}")
        ax.plot(*world.xy[start], "o", color="#D55E00", ms=6, zorder=5)
    figure.colorbar(lines, ax=list(axes), label="moves made", shrink=0.85, pad=0.01)
    share = optimal_action_share(model, world.mdp)
    return _sign(
        figure,
        f"{NUM_TRAJECTORIES:,} trajectories of {TRAJECTORY_LENGTH} moves from the dot; "
        f"the model's greedy action is optimal in {share:.0%} of states\n{source}",
    )


def corner(world: GridWorld) -> int:
    """The state at the bottom left, where the trajectories start."""
    low = world.xy[:, 1] == world.xy[:, 1].max()
    return int(np.flatnonzero(low)[0])


def transitions(world: GridWorld, model: MDP, source: str) -> Figure:
    """How far a model's transitions are from the environment's, and where to they lead.

    Args:
      world: the grid world.
      model: a model of it.
      source: what the figure says of the model.
    """
    figure, axes = plots.new_figure(
        1, 2, figsize=(7.2, 3.4), gridspec_kw={"width_ratios": (1, 1.15)}
    )
    apart = total_variation(model, world.mdp)
    axes[0].set_title("total variation, mean over actions")
    plots.draw_map(
        world.image(apart.mean(-1)), world.walls, axes[0], label="", cmap="magma",
        limits=(0, 1),
    )  # fmt: skip
    moved = np.abs(world.xy[:, None] - world.xy).sum(-1)
    lengths = np.arange(moved.max() + 1)
    for mdp, name, color in (
        (world.mdp, "environment", plots.BLACK),
        (model, "model", plots.order_color(math.inf)),
    ):
        mass = np.asarray(mdp.transition).mean(1)
        shares = np.array([(mass * (moved == n)).sum(-1).mean() for n in lengths])
        # Only the lengths that occur, so that the logarithm has something to draw.
        axes[1].plot(
            lengths[shares > 0], shares[shares > 0], "o-", ms=4, color=color, label=name
        )
    axes[1].set(
        xlabel="cells moved (columns + rows)", ylabel="share of transitions", yscale="log"
    )
    axes[1].set_ylim(1e-4, 1.5)
    axes[1].legend()
    return _sign(figure, source)


def total_variation(model: MDP, env: MDP) -> np.ndarray:
    """Total variation distance of two MDPs' next states, ``[S, A]``, in [0, 1]."""
    return np.abs(np.asarray(model.transition) - np.asarray(env.transition)).sum(-1) / 2


def next_states(
    world: GridWorld, model: MDP, state: int, action: int, source: str
) -> Figure:
    """Where one action leads from one state, in the environment and in a model.

    Args:
      world: the grid world.
      model: a model of it.
      state: the state.
      action: the action.
      source: what the figure says of the model.
    """
    figure, axes = plots.new_figure(1, 2, figsize=(7.2, 3.5))
    for ax, mdp, name in zip(
        axes, (world.mdp, model), ("in the environment", "in the model"), strict=True
    ):
        image = world.image(np.asarray(mdp.transition)[state, action])
        plots.draw_map(
            image, world.walls, ax, cmap="Blues", limits=(1e-4, 1), logarithmic=True
        )
        ax.plot(*world.xy[state], "o", mfc="none", mec=plots.order_color(math.inf), mew=2)
        ax.set_title(f"{ACTION_NAMES[action]} from the circle, {name}")
    figure.colorbar(
        axes[0].images[0], ax=list(axes), label="probability of the next state",
        shrink=0.85, pad=0.01,
    )  # fmt: skip
    return _sign(figure, source)


def values_compared(groups: list[dict[str, tuple[Any, Any]]], source: str) -> Figure:
    """Values of policies in a model against those in the environment.

    Args:
      groups: for each panel its sets of policies by name: their true values and those
        in the model, ``[policies, S]`` each.
      source: what the figure says of the model.
    """
    figure, axes = plots.new_figure(1, len(groups), figsize=(7.2, 4.1), squeeze=False)
    colors = list(VALUE_COLORS)
    for ax, group in zip(axes[0], groups, strict=True):
        for name, (true, model) in group.items():
            color = colors.pop(0)
            plots.draw_agreement(true, model, ax, color=color, label=name)
        plots.draw_diagonal(ax)
        ax.set(xlabel="value in the environment", ylabel="value in the model")
        ax.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1), markerscale=4, handletextpad=0.1
        )
    return _sign(figure, source)


def improvement(paths: dict[str, tuple[Any, Any]], optimum: float, source: str) -> Figure:
    """The true values of the policies along improvement paths.

    Args:
      paths: for each kind of path, which gets a panel, the mean true values of its base
        policies ``[policies]`` and of those perturbed from them ``[policies, each]``.
      optimum: the mean of v*.
      source: what the figure says of the paths.
    """
    figure, axes = plots.new_figure(
        1, len(paths), figsize=(7.2, 3.3), sharey=True, squeeze=False
    )
    for ax, (name, (values, perturbed)) in zip(axes[0], paths.items(), strict=True):
        ax.plot(perturbed, ".", ms=4, mew=0, color=plots.MODE_COLORS["stochastic"])
        ax.plot(values, color=plots.BLACK, lw=1)
        ax.axhline(optimum, ls="--", color=plots.GREY, lw=1)
        ax.set(title=name, xlabel="base policy")
    axes[0, 0].set_ylabel("mean true value")
    return _sign(figure, source)


def capacity(results: xr.Dataset) -> Figure:
    """Performance against rank: every seed, means with errors, and medians."""
    figure, ax = plots.new_figure(figsize=(6.8, 4.4))
    final = results.performance.isel(step=-1)
    shift = 0.009 * float(np.ptp(final["rank"].values))
    for offset, mode in zip((-shift, shift), results.mode.values, strict=False):
        color, values = plots.MODE_COLORS[mode], final.sel(mode=mode)
        ranks = values["rank"].values + offset
        count = values.notnull().sum("run")
        error = values.std("run", ddof=1) / np.sqrt(count) if count.max() > 1 else None
        for run in values.run.values:
            ax.plot(ranks, values.sel(run=run), "o", ms=4, mew=0, color=color, alpha=0.4)
        ax.errorbar(
            ranks, values.mean("run"), error, color=color, capsize=3,
            label=f"{mode}: mean ± standard error",
        )  # fmt: skip
        ax.plot(
            ranks, values.median("run"), ":", color=color, label=f"{mode}: median"
        )  # fmt: skip
    optimum = results.attrs["optimal_performance"]
    ax.axhline(optimum, ls="--", color=plots.GREY, lw=1, label="v*")
    ax.set(xlabel="rank of the model", ylabel="mean true value of the model's policy")
    ax.set_xticks(final["rank"].values)
    _outside_legend(figure, ax, 2)
    return _sign(figure, provenance(results) + "; dots: single runs")


def capacity_loss(results: xr.Dataset) -> Figure:
    """The final loss against rank: every seed and the medians."""
    figure, ax = plots.new_figure(figsize=(6.6, 3.8))
    final = results.loss.isel(logged_step=slice(-5, None)).mean("logged_step")
    for mode in results.mode.values:
        values = final.sel(mode=mode).transpose("run", "rank")
        color = plots.MODE_COLORS[mode]
        plots.draw_runs(values["rank"], values, ax, color=color, label=mode, mark="o")
    ax.set(xlabel="rank of the model", ylabel="PVE loss at the end", yscale="log")
    ax.set_xticks(final["rank"].values)
    _outside_legend(figure, ax, 2)
    return _sign(figure, provenance(results) + "; thin: single runs, thick: medians")


def cloud_slides(results: xr.Dataset, moments: int = 21) -> Slides:
    """The models of each order in their principal plane, moving with training time.

    Args:
      results: of the diameter experiment.
      moments: at most so many steps to stop at.
    """
    orders = results.order.values
    steps = results.step.values[spaced(results.sizes["step"], moments)]
    limit = 1.08 * float(abs(results.score).max())
    width = results.sizes["run"]

    def draw(which: int, moment: int) -> Figure:
        order = orders[which]
        chosen = results.sel(order=order)
        path = chosen.score.sel(step=slice(None, steps[moment]))
        plans = float(chosen.normalised_performance.sel(step=steps[moment]).median())
        spread = float(chosen.spread.sel(step=steps[moment]))
        figure, ax = plots.new_figure(figsize=(4.6, 4.6))
        color = plots.order_color(order)
        for run in results.run.values:
            ax.plot(*path.sel(run=run).transpose("component", "step").values,
                    color=color, lw=0.8, alpha=0.5)  # fmt: skip
            ax.plot(*path.sel(run=run).isel(step=-1).values, "o", ms=6, color=color)
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit), box_aspect=1,
               xlabel="1st component", ylabel="2nd component")  # fmt: skip
        ax.set_title(
            f"{plots.order_label(order)}, step {steps[moment]:,}: spread {spread:.1f}, "
            f"plans {plans:.2f}"
        )
        return _sign(figure, f"{provenance(results)}".replace(", Adam", ",\nAdam"))

    return Slides(
        draw,
        {
            "order": [plots.order_label(order) for order in orders],
            "training step": [f"{step:,}" for step in steps],
        },
        alt=lambda order, step: (
            f"{width} models of {order} in their principal plane after {step} steps, "
            "each with its way there"
        ),
    )


def rank_slides(
    world: GridWorld, model: Callable[[str, int], MDP], results: xr.Dataset
) -> Slides:
    """What models of each rank imagine: trajectories of their own optimal policies.

    Args:
      world: the grid world.
      model: gives the model of a policy set and a rank.
      results: of the capacity experiment.
    """
    modes, ranks = results.mode.values, results["rank"].values
    start, env = corner(world), world.mdp

    def draw(which: int, place: int) -> Figure:
        mode, rank = modes[which], ranks[place]
        imagining = model(mode, rank)
        _, policy = policy_iteration(imagining)
        figure, axes = plots.new_figure(1, 2, figsize=(6.4, 3.5))
        for ax, mdp, name in zip(
            axes, (imagining, env), ("in the model", "the same plan in the world"),
            strict=True,
        ):  # fmt: skip
            states = trajectories(
                stream(results.attrs["seed"], "figures", "ranks", name),
                mdp, policy, start, 600, TRAJECTORY_LENGTH,
            )  # fmt: skip
            plots.draw_trajectories(world.xy[states], world.walls, ax)
            ax.set_title(name)
            ax.plot(*world.xy[start], "o", color="#D55E00", ms=5, zorder=5)
        at = {"mode": mode, "rank": rank, "run": results.run.values[0]}
        plan = float(results.normalised_performance.isel(step=-1).sel(at))
        reached = float(results.loss.isel(logged_step=-1).sel(at))
        return _sign(
            figure,
            f"rank {rank}, {mode} policies: loss {reached:.3g}, the plan covers "
            f"{plan:.0%} of the way\nrun 0; 600 trajectories of {TRAJECTORY_LENGTH} moves; "
            f"{provenance(results)}".replace(", Adam", ",\nAdam"),
        )

    return Slides(
        draw,
        {"policy set": list(map(str, modes)), "rank": [str(rank) for rank in ranks]},
        alt=lambda mode, rank: (
            f"Trajectories of the optimal policy of a model of rank {rank}, {mode} "
            "policies: imagined by the model, and in the environment"
        ),
        start=[len(modes) - 1, 0],
        pixels=True,
    )


def _pictures_of_run_0(data_dir: str | Path, results: xr.Dataset) -> dict[str, Figure]:
    """What the proper value-equivalent model of run 0 imagines, if it is there."""
    facts = results.attrs
    world = _grid(facts["env"])
    if world is None or math.inf not in results.order.values:
        return {}
    if results.loss.sel(order=math.inf, run=0).isnull().all():
        return {}
    model = load_model(data_dir, "diameter", order=math.inf, run=0)
    source = source_of_run(results, math.inf, 0)
    return {
        "trajectories": imagined(world, model, facts["seed"], source),
        "transitions": transitions(world, model, source),
    }


def _grid(environment: str) -> GridWorld | None:
    """The grid world of an environment's name; None if it has no map."""
    kind, _, path = environment.partition(":")
    if kind == "map":
        return grid_world(Path(path).read_text(encoding="utf-8"))
    return four_rooms() if kind == "four-rooms" else None


def source_of_run(results: xr.Dataset, order: float, run: int) -> str:
    """What a figure says of the one trained model it shows."""
    facts = results.attrs
    preset = f"preset {facts['preset']}, " if "preset" in facts else ""
    return (
        f"model: {plots.order_label(order)}, run {run} of {results.sizes['run']}; "
        f"{preset}seed {facts['seed']}, {facts['steps']:,} steps of batch {facts['batch']}"
    )


def save_figures(data_dir: str | Path, out: str | Path) -> list[Path]:
    """Draw every figure that the data allow, as PNG and PDF.

    Args:
      data_dir: the data folder.
      out: the folder to write to; it is made.

    Returns:
      The files.

    Raises:
      ValueError: the data folder holds no finished runs, or ``out`` cannot be written.
    """
    with mpl.rc_context(plots.STYLE):
        return _save_figures(data_dir, Path(out))


def _save_figures(data_dir: str | Path, out: Path) -> list[Path]:
    drawn: dict[str, Figure] = {}
    for experiment in present(data_dir):
        results = load(data_dir, experiment)
        if experiment == "capacity":
            drawn |= {
                "capacity": capacity(results),
                "capacity-loss": capacity_loss(results),
            }
            continue
        drawn["progress"] = progress(results)
        if "spread" in results:
            several: dict[str, Callable[[Any], Figure]] = {
                "diameters": diameters,
                "spreads": spreads,
                "clouds": clouds,
            }
            drawn |= {name: draw(results) for name, draw in several.items()}
        drawn |= _pictures_of_run_0(data_dir, results)
    folder = make_folder(out)
    paths = []
    for name, figure in drawn.items():
        for kind in ("png", "pdf"):
            paths.append(folder / f"{name}.{kind}")
            figure.savefig(paths[-1])
        plt.close(figure)
    return paths
