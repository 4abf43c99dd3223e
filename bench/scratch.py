"""A bench's own folder, on the filesystem of the project: gone when it ends, also if it is told to."""

import contextlib
import shutil
import signal
import sys
import tempfile
from pathlib import Path


@contextlib.contextmanager
def scratch(root, name):
    """A new folder below `target/bench`, and that itself. Two benches at a time are no measurement, but a
    test may run beside one."""
    # As the first process of its namespace a bench would not hear them.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(130))
    shared = root / "target" / "bench"
    shared.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=shared))
    try:
        yield shared, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
