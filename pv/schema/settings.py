"""`[tool.pv]` in pyproject.toml."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from pv.schema.base import Model
from pv.schema.verdict import Target


class Settings(Model):
    """Every key has a default, so a project without `[tool.pv]` works."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"), populate_by_name=True
    )

    contracts: tuple[str, ...] = ("contracts",)
    falsifiers: tuple[str, ...] = ("falsifiers",)
    """Folders that pytest collects besides the bound files, so that orphan markers are found."""
    evidence_dir: str = "evidence"
    model: str | None = None
    """Path of the model that `pv.model` gives to falsifiers."""
    targets: tuple[Target, ...] = ("cpu",)
    faults: tuple[str, ...] = ()
    """Modules whose public context managers are the faults that some falsifier should catch."""
    import_mode: Literal["prepend", "append", "importlib"] = "prepend"
    pytest_plugins: tuple[str, ...] = ()
    """Plugins that the bound tests need; nothing else is loaded."""
    workers: int = Field(default=2, ge=1, le=64)
    ignore: tuple[str, ...] = ()
    strict_test_binding: bool = False
