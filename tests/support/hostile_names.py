"""Names that a contract may give for a test, and that must never become anything but an error.

Each kind is one way in which a name could reach pytest, a shell, a terminal or a template as something else; the
sources are pytest's own command line (options after `--`, `@file`), and lists of names that broke other tools.
"""

from __future__ import annotations

from typing import Final

HOSTILE: Final[dict[str, tuple[str, ...]]] = {
    "no name": ("", " ", "\t", "test_a.py", "test_a.py::", "::test_x", "::", "test_a.py::::test_x"),
    "another form": (
        "test_a.py::test_x::", "test_a.py::test x", "test_a.py::1test", "test_a.txt::test_x", "test_a::test_x",
        "a b.py::test_x", "a//test_a.py::test_x", "test_a.py:test_x", "test_a.py::Test.test_x", "test_a.pyc::test_x",
    ),
    "option": (
        "-ptest_a.py::test_x", "-p evil", "-pevil", "-c/etc/passwd", "-cevil.ini", "--co", "-k test_x", "-x.py::test_x",
        "--junitxml=out.py::test_x", "--rootdir=/::test_x", "--confcutdir=..", "-h.py::test_x", "-oaddopts=-pevil",
        "--pyargs", "--override-ini=python_files=*", "-Werror.py::test_x", "-n3.py::test_x",
        "--tx=popen//python=evil.py::test_x", "--pdbcls=evil:Evil",
    ),
    "end of options": ("--", "-- -pevil", "--::test_x", "-- test_a.py::test_x"),
    "file of arguments": ("@arguments.py::test_x", "@test_a.py", "@arguments", "@../arguments", "./@arguments"),
    "parent folder": (
        "../test_a.py::test_x", "a/../../test_a.py::test_x", "a/../test_a.py::test_x", "..::test_x",
        "a/..::test_x", "../../../../../../etc/test_a.py::test_x", "..\\test_a.py::test_x",
    ),
    "absolute": (
        "/etc/test_a.py::test_x", "//test_a.py::test_x", "~/test_a.py::test_x", "~root/test_a.py::test_x",
        "file:///test_a.py::test_x", "C:\\test_a.py::test_x", "C:/test_a.py::test_x", "\\\\host\\test_a.py::test_x",
        "/proc/self/cwd/test_a.py::test_x", "/dev/stdin",
    ),
    "this folder": ("./test_a.py::test_x", "././test_a.py::test_x", ".::test_x"),
    "new line": (
        "test_a.py::test_x\n-pevil", "test_a.py\n-pevil::test_x", "test_a.py::test_x\r\n-pevil",
        "test_a.py::test_x[\n]", "test_a.py::test_x\n",
        "test_a.py::test_x[\u2028]", "\ntest_a.py::test_x", "test_a.py::test_x\x0b-pevil",
    ),
    "control character": (
        "test_a.py::test_x[\x00]", "test_a.py\x00::test_x", "\x00", "test_a.py\x00-pevil::test_x",
        "test_a.py::test_x[\x1b[2J]", "test_a.py::test_x[\x7f]", "\x1b]0;evil\x07test_a.py::test_x",
    ),
    "brackets": ("test_a.py::test_x[a", "test_a.py::test_x]a[", "test_a.py[a]::test_x", "[a]", "test_a.py::[a]"),
    "backslash": ("a\\test_a.py::test_x", "test_a.py\\::test_x", "test_a.py::test\\x", "\\-pevil"),
    "glob": ("test_*.py::test_x", "test_?.py::test_x", "**/test_a.py::test_x", "test_[a-z].py::test_x", "*"),
    "shell": (
        "test_a.py::test_x; touch canary", "$(touch canary).py::test_x", "`touch canary`.py::test_x",
        "$HOME/test_a.py::test_x", "test_a.py::test_x|tee canary", "test_a.py::test_x && touch canary",
        "test_a.py::test_x > canary", "'; touch canary; '",
    ),
    "template": (
        "{{ 7*7 }}.py::test_x", "${jndi:ldap://x}.py::test_x", "%s%n.py::test_x", "{0.__class__}.py::test_x",
        "%2e%2e/test_a.py::test_x", "<!--.py::test_x",
    ),
    "lookalike": (
        "test_\u0430.py::test_x", "test_a\u2024py::test_x", "test_a.py\u2237test_x", "test_a.py\uff1a\uff1atest_x",
        "\u2025/test_a.py::test_x", "\uff0e\uff0e/test_a.py::test_x", "a\u2215test_a.py::test_x", "\u2010pevil",
        "\uff20arguments", "test_a.py\u200b::test_x", "\ufefftest_a.py::test_x", "\u202eyp.a_tset::test_x",
    ),
    "very long": (
        "test_a.py::test_x[" + "x" * 2000 + "]", "a/" * 5000 + "test_a.py::test_x", "x" * (1 << 20),
        "test_a.py" + "::test_x" * 5000,
        "x" * 300 + ".py::test_x",
    ),
}  # fmt: skip

NAMES: Final = [name for names in HOSTILE.values() for name in names]
