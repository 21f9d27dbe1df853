"""Find the project's root and read `[tool.pv]` from its pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pv.errors import ConfigError
from pv.schema.settings import Settings
from pv.suggest import closest


def load_settings(start: Path) -> tuple[Path, Settings]:
    """The project's root and its settings.

    The root is the nearest folder upward whose pyproject.toml has `[tool.pv]`; else the nearest one that holds
    `.git`; else `start` itself.

    Raises:
        ConfigError: the table cannot be read, or has a key or a value that is not known.
    """
    start = start.resolve()
    fallback: Path | None = None
    for folder in (start, *start.parents):
        table = _table(folder / "pyproject.toml")
        if table is not None:
            return folder, _settings(table)
        if fallback is None and (folder / ".git").exists():
            fallback = folder
    return fallback or start, Settings()


def _table(path: Path) -> dict[str, Any] | None:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path.name}: cannot be read: {err}") from err
    except tomllib.TOMLDecodeError as err:
        raise ConfigError(f"{path.name}: is not TOML: {err}") from err
    table = data.get("tool", {}).get("pv")
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"{path.name}: [tool.pv] is a {type(table).__name__}; expected a table")
    return table


def _settings(table: dict[str, Any]) -> Settings:
    known = [field.alias or name for name, field in Settings.model_fields.items()]
    for key in table:
        if key not in known:
            near = closest(key, known)
            hint = f"did you mean '{near}'?" if near is not None else f"known keys are {', '.join(known)}"
            raise ConfigError(f"pyproject.toml: [tool.pv] has no key '{key}'; {hint}")
    try:
        return Settings.model_validate(table)
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"pyproject.toml: [tool.pv] {where}: {first['msg']}, got {first['input']!r}") from err
