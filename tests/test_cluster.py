"""The engine `ray`: the same bits on a cluster, also when one of its machines dies."""

import contextlib
import dataclasses
import math
import socket
import threading
import time
from types import SimpleNamespace

import pytest
from ray.cluster_utils import Cluster
from tiny import SEED, TINY, data_files

from pve.atomic import TEMPORARY
from pve.engines import ray
from pve.engines.dispatch import find_engine, run_experiment
from pve.results.load import status
from pve.results.verify import verify

# Long enough that runs are under way on both machines when one of them is killed.
CONFIG = dataclasses.replace(
    TINY["diameter"], orders=(math.inf,), runs=3, steps=10_000, every=100, log_every=100
)


def compute(folder, **options):
    return run_experiment("diameter", CONFIG, SEED, folder, progress=False, **options)


@pytest.fixture
def two_machines():
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        yield cluster, cluster.add_node(num_cpus=1)
    finally:
        cluster.shutdown()


def under_way(folder):
    """The runs that have kept snapshots and have no record yet."""
    runs = {path.parent for path in folder.rglob("snapshots-*.nc")}
    return [run for run in runs if not (run / "record.json").exists()]


# Ray forks to start its processes, which JAX warns of; they execute another program.
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
def test_a_lost_machine_loses_nothing(tmp_path, two_machines):
    cluster, machine = two_machines
    lost = []

    def kill():
        while len(under_way(tmp_path / "cluster")) < 2:
            time.sleep(0.02)
        lost.extend(under_way(tmp_path / "cluster"))
        cluster.remove_node(machine, allow_graceful=False)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    report = compute(
        tmp_path / "cluster", engine=find_engine("ray", address=cluster.address)
    )
    killer.join(timeout=1)
    assert len(lost) == 2, "no two runs were ever under way together"
    assert not report.failed
    assert not report.elsewhere
    assert set(status(tmp_path / "cluster")["diameter"].values()) == {"finished"}
    assert not list((tmp_path / "cluster").rglob(f"{TEMPORARY}*"))
    compute(tmp_path / "local")
    on_cluster, local = (
        data_files(tmp_path / name, "diameter") for name in ("cluster", "local")
    )
    assert on_cluster == local
    assert verify(tmp_path / "cluster") == []


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
def test_lanes_go_to_machines_with_accelerators(tmp_path):
    """Ray takes our word for it that the machine has one; there JAX sees the cores."""
    config = dataclasses.replace(CONFIG, steps=200, every=100)
    options = {"progress": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 1})
    try:
        engine = find_engine("ray", address=cluster.address, lanes=2)
        report = run_experiment(
            "diameter", config, SEED, tmp_path / "cluster", engine=engine, **options
        )
    finally:
        cluster.shutdown()
    assert len(report.computed) == 3
    engine = find_engine("device", lanes=2)
    run_experiment("diameter", config, SEED, tmp_path / "here", engine=engine, **options)
    on_cluster, here = (
        data_files(tmp_path / name, "diameter") for name in ("cluster", "here")
    )
    assert on_cluster == here
    assert verify(tmp_path / "cluster") == []


def test_lanes_need_a_machine_with_an_accelerator(tmp_path, monkeypatch):
    engine = find_engine("ray", lanes=2)
    cores = SimpleNamespace(cluster_resources=lambda: {"CPU": 8.0})
    monkeypatch.setattr(engine, "_joined", lambda: contextlib.nullcontext(cores))
    with pytest.raises(
        ValueError, match=r"lanes is 2, but no machine .* has an accelerator"
    ):
        compute(tmp_path, engine=engine)
    assert list(tmp_path.iterdir()) == []


def test_what_answers_and_is_no_cluster_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(ray, "PATIENCE", 6.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ValueError, match=f"address is '{address}'; expected that of a"):
            compute(tmp_path, engine=find_engine("ray", address=address))
