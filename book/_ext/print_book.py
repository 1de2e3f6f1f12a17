"""What the printed book needs: figures as PDF, and no signs that LaTeX lacks.

The pages' figures are SVG, which LaTeX cannot include; `rsvg-convert` (Debian's
`librsvg2-bin`) makes them PDF, vectors as before.
"""

from __future__ import annotations

import subprocess
from typing import Any

from sphinx.application import Sphinx
from sphinx.transforms.post_transforms.images import ImageConverter
from sphinx.util import logging

logger = logging.getLogger(__name__)


class VectorConverter(ImageConverter):
    """From SVG to PDF."""

    conversion_rules = [("image/svg+xml", "application/pdf")]  # noqa: RUF012
    default_priority = 100

    def is_available(self) -> bool:
        """Whether the program is installed; the Makefile says what to do if not."""
        try:
            subprocess.run(["rsvg-convert", "--version"], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    def convert(self, source: Any, target: Any) -> bool:
        """Convert one figure."""
        command = ["rsvg-convert", "--format=pdf", "--output", str(target), str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            logger.warning("%s cannot be converted: %s", source, done.stderr)
        return done.returncode == 0


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_post_transform(VectorConverter)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
