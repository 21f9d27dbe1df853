"""git histories for tests, with commit times given by hand."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false")


def commit_all(root: Path, when: str = "2020-01-01T00:00:00Z", *paths: str) -> str:
    """Commit the paths (everything by default), in a repository that is made if there is none; its sha."""
    env = {**os.environ, "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when, "GIT_CONFIG_GLOBAL": os.devnull}
    for arguments in (
        ["init", "-q"],
        ["add", "-A", *(paths or (".",))],
        [*_IDENTITY, "commit", "-q", "--allow-empty", "-m", "change"],
    ):
        subprocess.run(["git", *arguments], cwd=root, env=env, check=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, env=env, check=True, capture_output=True, text=True)
    return done.stdout.strip()
