import pytest

from pv.config import load_settings
from pv.errors import ConfigError


def test_the_nearest_pyproject_with_the_table_is_the_root(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.pv]\ncontracts = ["promises"]\n')
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    (tmp_path / "a/pyproject.toml").write_text("[project]\nname = 'x'\n")
    root, settings = load_settings(inner)
    assert (root, settings.contracts) == (tmp_path, ("promises",))


def test_without_a_table_the_git_root_counts_then_the_folder_itself(tmp_path):
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    assert load_settings(inner)[0] == inner
    (tmp_path / "a/.git").mkdir()
    root, settings = load_settings(inner)
    assert (root, settings.contracts) == (tmp_path / "a", ("contracts",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.pv]\nevidence_dirs = 'x'\n", r"\[tool.pv\] has no key 'evidence_dirs'; did you mean 'evidence-dir'\?"),
        ("[tool.pv]\nworkers = 0\n", r"\[tool.pv\] workers: .*greater than or equal to 1, got 0"),
        ("[tool.pv]\ntargets = ['gpu']\n", r"\[tool.pv\] targets.0: .*got 'gpu'"),
        ("[tool.pv\n", r"pyproject.toml: is not TOML"),
        ("[tool]\npv = 3\n", r"\[tool.pv\] is a int; expected a table"),
    ],
    ids=["unknown key", "out of range", "no target", "no toml", "no table"],
)
def test_a_wrong_table_is_one_clear_line(tmp_path, text, message):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_settings(tmp_path)
    assert "\n" not in str(caught.value)
