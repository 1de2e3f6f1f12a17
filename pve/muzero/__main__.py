"""The command ``python -m pve.muzero``."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from pve.checks import check_seed
from pve.muzero.agent import PRESETS
from pve.muzero.study import run
from pve.runs import store


def main(argv: Sequence[str] | None = None) -> int:
    """Run a preset and write its summary; return 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m pve.muzero", description="Train latent-model agents on Four Rooms."
    )
    parser.add_argument("out", metavar="OUT.nc", type=Path, help="the file to write")
    parser.add_argument("--preset", default="quick", choices=sorted(PRESETS))
    parser.add_argument("--seed", type=int, default=0, help="an integer ≥ 0 (0)")
    parser.add_argument("--runs", type=int, help="agents, instead of the preset's")
    arguments = parser.parse_args(argv)
    try:
        settings = PRESETS[arguments.preset]
        if arguments.runs is not None:
            settings = dataclasses.replace(settings, runs=arguments.runs)
        store.make_folder(arguments.out.absolute().parent)
        summary = run(check_seed(arguments.seed), settings)
    except (ValueError, TypeError) as error:
        print(f"python -m pve.muzero: {error}", file=sys.stderr)
        return 2
    store.write_dataset(arguments.out, summary)
    print(f"{arguments.out}: {settings.runs} runs, {summary.attrs['seconds']:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
