"""Requests made up from the API's own description, and whether the answers keep to it."""

import shutil
import subprocess
import sys
from pathlib import Path

# A text that is too long is answered with 413, which is not among what it expects.
CHECKS = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 413, 415, 422, 429]
"""


def run_schemathesis(address: str, folder: Path, *options: str) -> None:
    """Test the API at `address`, which ends with its token; settings are written to `folder`."""
    (folder / "schemathesis.toml").write_text(CHECKS)
    base, token = address.split("?token=")
    command = shutil.which("schemathesis", path=Path(sys.executable).parent)
    done = subprocess.run(
        [
            *(command, "--config-file", "schemathesis.toml", "run", f"{base}api/openapi.json"),
            *("--header", f"Authorization: Bearer {token}", "--seed", "1", "--no-color", *options),
        ],
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout[-6000:]
