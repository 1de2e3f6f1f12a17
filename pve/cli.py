"""The command line: ``python -m pve`` or ``pve``."""

from __future__ import annotations

import argparse
import io
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from pve.checks import check_positive_number, check_seed, parse_integer, parse_number
from pve.defaults import check_devices, settle_jax
from pve.experiments import EXPERIMENTS, find_experiment
from pve.experiments.base import ExperimentSettings
from pve.threads import settle_threads
from pve.worlds.by_name import make_environment, with_discount

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
MUCH = 1e9  # bytes: a command about to write more says how to write less


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def _argument(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """A parser of words as argparse wants it: it passes on what the error says."""

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pve",
        description="Proper value equivalence: the experiments of Grimm et al. (2021).",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    integer, number = _argument(parse_integer), _argument(parse_number)
    for name, experiment in EXPERIMENTS.items():
        command = commands.add_parser(
            name,
            help=experiment.QUESTION,
            description=f"The {name} experiment: {experiment.QUESTION} Running it again "
            "continues it: what is finished is never computed again.",
        )
        command.add_argument("data_dir", metavar="DATA_DIR", help="the data folder")
        command.add_argument("seed", metavar="SEED", help="an integer from 0 to 4294967295")
        command.add_argument(
            "--preset",
            default="quick",
            help="smoke, quick (default), standard or paper",
        )
        for option in experiment.OPTIONS:
            command.add_argument(
                f"--{option.name.replace('_', '-')}",
                nargs="+" if option.many else None,
                type=_argument(option.parse),
                metavar=option.metavar,
                help=option.help,
            )
        command.add_argument(
            "--env",
            help="four-rooms (default), jacks-cars, gymnasium:NAME, map:FILE or npz:FILE, "
            "and options such as ?is_slippery=false&map_name=8x8 or ?slip=0.1",
        )
        command.add_argument(
            "--discount", type=number, metavar="X", help="of the environment, in [0, 1)"
        )
        command.add_argument(
            "--engine",
            default="auto",
            help="local (this machine's cores), device (an accelerator), ray (a Ray "
            "cluster) or auto (default: device where there is one, else local)",
        )
        command.add_argument(
            "--address", help="of a running Ray cluster (default: start one here)"
        )
        command.add_argument(
            "--lanes",
            type=integer,
            metavar="N",
            help="runs in one program of the engine device",
        )
        command.add_argument(
            "--minutes",
            type=number,
            metavar="X",
            help="end at a checkpoint after so many minutes",
        )
    figures = commands.add_parser("figures", help="draw every figure the data allow")
    figures.add_argument("data_dir", metavar="DATA_DIR", help="the data folder")
    figures.add_argument("--out", default="visuals", help="where to (visuals)")
    summary = commands.add_parser(
        "summary",
        help="write losses, performances, components and spreads without the models",
    )
    summary.add_argument("data_dir", metavar="DATA_DIR", help="the data folder")
    summary.add_argument("--out", default="summary", help="where to (summary)")
    summary.add_argument(
        "--add",
        action="store_true",
        help="keep the runs that are there already (not of experiments that compare runs)",
    )
    summary.add_argument(
        "--models",
        nargs="*",
        type=integer,
        metavar="STEP",
        help="also the models of limited rank: the last, and those after so many steps",
    )
    seeds = commands.add_parser(
        "seeds",
        help="several seeds side by side: their mean and spread, as figures and tables",
        description="Compare an experiment's results under several seeds at the end of "
        "training: each seed's mean over its runs, and over the seeds the mean, the "
        "standard deviation, the standard error and the extremes. Writes figures (PNG and "
        "PDF) and tables (CSV).",
    )
    seeds.add_argument(
        "data_dirs",
        metavar="DATA_DIR",
        nargs="+",
        help="data folders that differ in their seeds, two or more; those of the "
        "book's chapters are results/*/PRESET-SEED",
    )
    seeds.add_argument("--out", default="seeds", help="where to (seeds)")
    for name, help_text in (
        ("status", "what is done, unfinished and failed"),
        ("verify", "check every file against its recorded checksum"),
    ):
        command = commands.add_parser(name, help=help_text, description=help_text)
        command.add_argument("data_dir", metavar="DATA_DIR", help="the data folder")
        if name == "verify":
            command.add_argument(
                "--retrain",
                nargs="+",
                default=[],
                metavar="RUN",
                help="train these runs again and compare, such as diameter/order=30/run=7",
            )
    report = commands.add_parser(
        "report",
        help="what value equivalence says of one world, as a page and tables",
        description="Analyse one world: its optimum, the class of models that have its "
        "values, where trained models end, how well small ones plan. Writes an HTML page "
        "that needs nothing else, and its numbers as CSV.",
    )
    report.add_argument(
        "env",
        metavar="ENV",
        help="four-rooms, jacks-cars, gymnasium:NAME, map:FILE or npz:FILE",
    )
    report.add_argument("--out", default="report", help="the folder to write to (report)")
    report.add_argument("--seed", default="0", help="an integer from 0 to 4294967295 (0)")
    report.add_argument("--discount", type=number, metavar="X", help="in [0, 1)")
    bench = commands.add_parser(
        "bench", help="measure speed against a plain implementation"
    )
    bench.add_argument(
        "--repeats",
        type=_argument(parse_integer),
        default=5,
        help="how many times each is timed; medians are shown (5)",
    )
    return parser


def _settings(arguments: argparse.Namespace) -> ExperimentSettings:
    experiment = find_experiment(arguments.command)
    settings = experiment.preset(arguments.preset)
    words = vars(arguments)
    given: dict[str, Any] = {
        name: tuple(words[name]) if many else words[name]
        for name, _, _, _, many in experiment.OPTIONS
        if words[name] is not None
    }
    if arguments.env is not None:
        given["env"] = arguments.env
    if arguments.discount is not None:
        given["env"] = with_discount(given.get("env", settings.env), arguments.discount)
    if "env" in given:
        num_states = make_environment(given["env"]).num_states
        settings = experiment.fitted(settings, num_states)
    return settings.changed(given)


def _seed(text: str) -> int:
    try:
        return check_seed(int(text))
    except ValueError:
        raise ValueError(
            f"seed is {text!r}; expected an integer from 0 to 4294967295"
        ) from None


def _run(arguments: argparse.Namespace) -> int:
    from pve.engines.cost import forecast, in_bytes
    from pve.engines.dispatch import find_engine, plan_for, run_experiment

    settle_threads()
    engine = find_engine(
        arguments.engine,
        arguments.command,
        address=arguments.address,
        lanes=arguments.lanes,
    )
    if arguments.minutes is not None:
        check_positive_number("minutes", arguments.minutes)
    seed, settings = _seed(arguments.seed), _settings(arguments)
    name, data_dir = arguments.command, arguments.data_dir
    plan = plan_for(engine, name, settings, seed, data_dir)
    cost = forecast(plan)
    print(
        f"{name}: {cost.due} runs due, {cost.finished} finished; "
        f"{in_bytes(cost.bytes)} to write in {data_dir}"
    )
    if said := engine.announced(plan):
        print(said)
    if cost.bytes > MUCH:
        print("That is a lot: --every N thins the snapshots.")
    again = f"run the same command again to continue: {_command_line()}"
    try:
        report = run_experiment(
            name,
            settings,
            seed,
            data_dir,
            engine=engine,
            minutes=arguments.minutes,
        )
    except KeyboardInterrupt:
        print(f"\nInterrupted; nothing that was finished is lost, {again}")
        sys.stdout.flush()
        os._exit(EXIT_INTERRUPTED)  # a thread may be compiling, which cannot be stopped
    for run in report.elsewhere:
        print(f"{name} {run}: another process is computing it")
    for run, error in report.failed.items():
        print(f"{name} {run} failed: {error}", file=sys.stderr)
    print(f"{name}: {len(report.finished)} of {len(plan.tasks)} runs finished")
    if report.failed:
        print(f"{len(report.failed)} runs failed; {again}", file=sys.stderr)
        return EXIT_FAILED
    if report.stopped:
        print(f"The {arguments.minutes:g} minutes are over; {again}")
    return 0


def _command_line() -> str:
    return shlex.join(["python", "-m", "pve", *sys.argv[1:]])


def _figures(arguments: argparse.Namespace) -> int:
    import matplotlib as mpl

    from pve.figures.save import save_figures

    mpl.use("agg")  # files need no screen, whatever MPLBACKEND says
    for path in save_figures(arguments.data_dir, arguments.out):
        print(path)
    return 0


def _summary(arguments: argparse.Namespace) -> int:
    from pve.results.moments import write_moments
    from pve.results.summary import write_summary

    written = write_summary(arguments.data_dir, arguments.out, add=arguments.add)
    if arguments.models is not None:
        written += write_moments(
            arguments.data_dir, arguments.out, arguments.models, add=arguments.add
        )
    for path in written:
        print(path)
    return 0


def _seeds(arguments: argparse.Namespace) -> int:
    import matplotlib as mpl

    from pve.atomic import write_whole
    from pve.figures.seeds import save_over_seeds
    from pve.results.seeds import by_seed, load_seeds, spread_over_seeds

    mpl.use("agg")  # files need no screen, whatever MPLBACKEND says
    compared = load_seeds(arguments.data_dirs)
    paths = save_over_seeds(compared, arguments.out)
    for name, each in compared.items():
        for ending, table in (("", by_seed(each)), ("-spread", spread_over_seeds(each))):
            paths.append(Path(arguments.out) / f"{name}{ending}.csv")
            write_whole(paths[-1], table.to_csv(index=False).encode())
    for path in paths:
        print(path)
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from pve.results.load import status

    failed = False
    for experiment, runs in status(arguments.data_dir).items():
        kinds = [state.partition(":")[0] for state in runs.values()]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
        print(f"{experiment}: {counts or 'no runs yet'}")
        for name, state in runs.items():
            if state != "finished":
                print(f"  {name} {state}")
        failed = failed or "failed" in kinds
    return EXIT_FAILED if failed else 0


def _verify(arguments: argparse.Namespace) -> int:
    from pve.results.verify import retrain, verify
    from pve.runs.store import CorruptFile

    settle_threads()
    problems = verify(arguments.data_dir)
    for name in arguments.retrain:
        try:
            problems += retrain(arguments.data_dir, name)
        except CorruptFile as error:
            problems.append(str(error))
    for problem in problems:
        print(problem, file=sys.stderr)
    count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
    print(count if problems else "all files are as recorded")
    return EXIT_FAILED if problems else 0


def _report(arguments: argparse.Namespace) -> int:
    import matplotlib as mpl

    from pve.report.analysis import analyse
    from pve.report.page import write_report
    from pve.runs.store import make_folder
    from pve.worlds.places import find_place

    mpl.use("agg")  # files need no screen, whatever MPLBACKEND says
    settle_threads()
    seed, place = _seed(arguments.seed), find_place(arguments.env, arguments.discount)
    make_folder(Path(arguments.out))  # before two minutes of work, not after
    analysis = analyse(place, seed)
    for path in write_report(analysis, arguments.out, _command_line()):
        print(path)
    return 0


def _bench(arguments: argparse.Namespace) -> int:
    import jax

    from pve.benchmark.lanes import measure, print_lanes
    from pve.benchmark.others import print_others
    from pve.benchmark.table import TRAINING, print_table
    from pve.worlds.gridworld import four_rooms

    print_table(arguments.repeats)
    print_others()
    if jax.default_backend() != "cpu":
        rows = measure(four_rooms().mdp, TRAINING, repeats=arguments.repeats)
        print_lanes(rows, 120)
    return 0


COMMANDS = {  # besides those of the experiments
    "figures": _figures,
    "summary": _summary,
    "seeds": _seeds,
    "status": _status,
    "verify": _verify,
    "report": _report,
    "bench": _bench,
}
# no engine checks the devices for these
COMPUTING = ("figures", "summary", "seeds", "report", "bench")


@contextmanager
def _warnings_in_one_line(command: str) -> Iterator[None]:
    """Show this package's warnings as its errors, without a place in its code."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def shown(message: Any, category: Any, *where: Any, **more: Any) -> None:
            if category is UserWarning:
                print(f"pve {command}: {message}", file=sys.stderr)
            else:
                show(message, category, *where, **more)

        warnings.showwarning = shown
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its status: 0, 1 failed, 2 bad input, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot write ∞ gets a question mark, not a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    arguments = _parser().parse_args(argv)
    settle_jax()
    try:
        if getattr(arguments, "out", None) == "":
            raise ValueError("--out is ''; expected the name of a folder")
        if arguments.command in COMPUTING:
            check_devices()
        with _warnings_in_one_line(arguments.command):
            return COMMANDS.get(arguments.command, _run)(arguments)
    except (ValueError, TypeError, OSError) as error:
        print(f"pve {arguments.command}: {error}", file=sys.stderr)
        return EXIT_USAGE
    except MemoryError as error:
        what = str(error) or "more than there is"
        print(f"pve {arguments.command}: out of memory: {what}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print(f"pve {arguments.command}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
