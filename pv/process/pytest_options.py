"""The fixed command line of a child pytest, and the few settings a project may choose.

Only what names and finds tests is taken from the project: `pythonpath`, `markers` and the `python_*` patterns.
"""

from __future__ import annotations

import configparser
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pv.errors import ConfigError
from pv.schema.settings import Settings

_INI = Path(__file__).with_name("pytest.ini")
_UNUSED_PLUGINS = (
    "cacheprovider",
    "doctest",
    "junitxml",
    "pastebin",
    "setuponly",
    "setupplan",
    "stepwise",
    # Its five garbage collections are a tenth of a short child's time; it only warns, and no verdict reads that.
    "unraisableexception",
)
_ERRORS = (
    "error::pytest.PytestReturnNotNoneWarning",
    "error::pytest.PytestUnhandledThreadExceptionWarning",
    "error::pytest.PytestAssertRewriteWarning",
)
_WORD_LISTS = ("python_files", "python_classes", "python_functions")


def project_ini(root: Path) -> dict[str, list[str]]:
    """The project's values of the settings above, from the file that pytest itself would use.

    Raises:
        ConfigError: that file cannot be read.
    """
    for name, table in (
        ("pytest.toml", ("pytest",)),
        (".pytest.toml", ("pytest",)),
        ("pytest.ini", ("pytest",)),
        (".pytest.ini", ("pytest",)),
        ("pyproject.toml", ("tool", "pytest", "ini_options")),
        ("pyproject.toml", ("tool", "pytest")),
        ("tox.ini", ("pytest",)),
        ("setup.cfg", ("tool:pytest",)),
    ):
        path = root / name
        if path.is_file():
            found = _toml(path, table) if path.suffix == ".toml" else _ini(path, table[0])
            if found is not None:
                return {key: _words(key, value) for key, value in found.items() if _is_passed_on(key)}
    return {}


def arguments(root: Path, settings: Settings, paths: Iterable[str], *, is_run: bool) -> list[str]:
    """Everything that follows `pytest`; `paths` come from `pv.process.nodeid`.

    In a run, warnings that say "this test proves nothing" are errors; a collection has to show such tests.
    """
    ini = project_ini(root)
    options = [
        "-c", str(_INI), "--rootdir", str(root), "--confcutdir", str(root), "--import-mode", settings.import_mode,
        "-p", "pv.run.plugin", "--strict-markers", "--continue-on-collection-errors", "-s", "-q", "--no-header",
        "--color=no", "--tb=short",
    ]  # fmt: skip
    for plugin in _UNUSED_PLUGINS:
        options += ["-p", f"no:{plugin}"]
    for plugin in settings.pytest_plugins:
        options += ["-p", plugin]
    for error in _ERRORS if is_run else ():
        options += ["-W", error]
    if not is_run:
        options.append("--assert=plain")  # nothing is asserted, and rewriting is half the time of a first collection
    pythonpath = [shlex.quote(str(root / entry)) for entry in ini.pop("pythonpath", [])]
    options += ["-o", "pythonpath=" + " ".join(pythonpath)]
    for key, words in ini.items():
        separator = "\n" if key == "markers" else " "
        options += ["-o", f"{key}={separator.join(words)}"]
    return [*options, *paths]


def _is_passed_on(key: str) -> bool:
    return key in ("pythonpath", "markers", *_WORD_LISTS)


def _words(key: str, value: object) -> list[str]:
    if isinstance(value, list):
        return [str(item) for item in value]
    text = str(value)
    if key == "markers":
        return [line.strip() for line in text.splitlines() if line.strip()]
    return shlex.split(text)


def _toml(path: Path, table: tuple[str, ...]) -> Mapping[str, object] | None:
    try:
        found: object = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise ConfigError(f"{path.name}: cannot be read: {err}") from err
    for key in table:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _ini(path: Path, section: str) -> Mapping[str, object] | None:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, configparser.Error) as err:
        raise ConfigError(f"{path.name}: cannot be read: {err}") from err
    return dict(parser[section]) if parser.has_section(section) else None
