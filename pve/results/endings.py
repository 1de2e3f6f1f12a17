"""Where trainings end: their last losses, and whether they still move."""

from __future__ import annotations

import xarray as xr

from pve.equivalence.distances import GROUP_OF_RUNS

LAST_LOSSES = 5  # recorded means that a loss at the end is the mean of
AT_REST = 0.02  # of the spread at the start: a change of no more than this is no movement


def final_losses(losses: xr.DataArray) -> xr.DataArray:
    """The losses at the end of training.

    Args:
      losses: ``(…, logged_step)``, recorded.

    Returns:
      ``(…)``, means of the last recorded ones.
    """
    return losses.isel(logged_step=slice(-LAST_LOSSES, None)).mean("logged_step")


def at_half_time(spread: xr.DataArray) -> xr.DataArray:
    """The spread after half the training.

    Args:
      spread: ``(…, step)``.
    """
    return spread.sel(step=spread.step.values[-1] / 2, method="nearest")


def movement(spread: xr.DataArray, share: float = AT_REST) -> xr.DataArray:
    """How the spread moves over the last half of the training.

    Args:
      spread: ``(…, step)``.
      share: of the spread at the start. What changes by no more stands still.

    Returns:
      ``(…)``: -1 where it falls on, 1 where it grows on, 0 where it stands still.
    """
    change = spread.isel(step=-1) - at_half_time(spread)
    least = share * spread.isel(step=0)
    return xr.where(abs(change) > least, xr.where(change < 0, -1, 1), 0)


def group_diameters(results: xr.Dataset) -> xr.Dataset:
    """The diameters of groups of 20 runs, which are comparable with the published ones.

    Args:
      results: of the diameter experiment.

    Returns:
      ``mean`` and ``error`` (order). Where one group is finished the mean is its diameter,
      on components fitted to it alone, and the error is NaN; where there are fewer runs, or
      more that are no two groups, both are.
    """
    runs = results.normalised_performance.isel(step=-1).notnull().sum("run")
    single = results.diameter.where(runs == GROUP_OF_RUNS)
    if "published_diameter" not in results:
        return xr.Dataset({"mean": single, "error": xr.full_like(single, float("nan"))})
    mean = results.published_diameter.fillna(single)
    return xr.Dataset({"mean": mean, "error": results.published_diameter_error})
