"""Re-execute the chapters whenever what computes their numbers changes.

Jupyter Book keys its execution cache on the text of a chapter's cells alone, so an
edited library would leave stale figures behind. This extension hashes everything
else a number depends on: the library's source, the versions of the numerical
packages, the preset asked for and how JAX is set. Each hash has an execution cache of
its own; going back to an earlier state of the library is therefore served from its cache.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

from jupyter_client.manager import KernelManager
from sound_cache import mend
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "optax", "matplotlib")
CACHES_KEPT = 5
# Where compilations are kept, which changes no number.
COMPILED = frozenset(
    {
        "JAX_COMPILATION_CACHE_DIR",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
        "JAX_COMPILATION_CACHE_MAX_SIZE",
    }
)


def numerical_hash(root: Path = ROOT) -> str:
    """Hash the library's source, the packages' versions, the preset and JAX's settings."""
    digest = hashlib.sha256()
    for path in sorted((root / "pve").rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    for package in PACKAGES:
        digest.update(f"{package}=={metadata.version(package)}\0".encode())
    digest.update(f"preset={os.environ.get('PVE_PRESET', '')}\0".encode())
    for name in sorted(os.environ):  # how JAX and its compiler compute
        if name == "XLA_FLAGS" or (name.startswith("JAX_") and name not in COMPILED):
            digest.update(f"{name}={os.environ[name]}\0".encode())
    return digest.hexdigest()[:16]


def prune_caches(folder: Path, kept: int = CACHES_KEPT) -> None:
    """Delete all but the most recently used caches in a folder."""
    caches = [path for path in folder.iterdir() if path.is_dir()]
    caches.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in caches[kept:]:
        shutil.rmtree(path, ignore_errors=True)


def keep_compiled(folder: Path) -> None:
    """Have the chapters share what JAX compiles, and keep it for later builds."""
    settings = {
        # What was compiled for one machine need not run on another.
        "JAX_COMPILATION_CACHE_DIR": folder / platform.node(),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": 0.1,
        # Unless its size is limited, JAX does not lock the folder, and a chapter might read
        # what another one is writing.
        "JAX_COMPILATION_CACHE_MAX_SIZE": 2**30,
    }
    for name, value in settings.items():
        os.environ.setdefault(name, str(value))


def leave_out_the_users_own(folder: Path) -> None:
    """Have the chapters' kernels neither read nor write the user's start-up files."""
    os.environ["IPYTHONDIR"] = str(folder)
    os.environ.pop("PYTHONSTARTUP", None)


def choose_cache(app: Sphinx, config: Config) -> None:
    """Point the notebooks' execution at the cache of the present hash."""
    config.numerical_hash = numerical_hash()
    caches = Path(app.outdir).parent / ".jupyter_cache"
    cache = caches / config.numerical_hash
    cache.mkdir(parents=True, exist_ok=True)
    os.utime(cache)
    prune_caches(caches)
    mend(cache)
    config.nb_execution_cache_path = str(cache)
    keep_compiled(caches.parent / ".compiled")
    leave_out_the_users_own(caches.parent / ".ipython")
    logger.info("numerical code: %s", config.numerical_hash)


def settle_kernels() -> None:
    """Settle how this process starts the chapters' kernels."""
    # Chapters run on the kernel of this environment, even where the user's home
    # holds another one of the same name.
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    # Kernels warn, once a chapter, when they speak unencrypted; so let them encrypt.
    KernelManager.transport_encryption.default_value = "auto"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    settle_kernels()
    app.add_config_value("numerical_hash", "", "env", str)
    app.connect("config-inited", choose_cache)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
