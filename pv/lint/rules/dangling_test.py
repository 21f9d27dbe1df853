from __future__ import annotations

from collections.abc import Iterable, Mapping

from pv.lint.bound import Binding, binding_of
from pv.lint.context import LintContext
from pv.lint.hints import Hints
from pv.lint.rule import BindingRule
from pv.schema.finding import Finding, Severity


class DanglingTest(BindingRule):
    """A falsifier names a test that pytest does not collect.

    ## What it does
    Looks up the falsifier's node id among the tests that pytest's own collection found; never by a search for text.

    ## Why is this bad?
    A falsifier without a test can never turn its contract red. Usually the test was renamed, moved, or never written.

    ## Example
    ```yaml
    test: falsifiers/test_q4k.py::test_matvec_outlier      # the function is called test_matvec_outliers
    ```

    ## Use instead
    ```yaml
    test: falsifiers/test_q4k.py::test_matvec_outliers
    ```

    ## References
    - `pv explain collection-error`
    - `pv explain orphan-marker`
    """

    name = "dangling-test"
    severity = Severity.ERROR
    fix = "correct the node id, or write the test"

    def check(self, context: LintContext) -> Iterable[Finding]:
        hint = Hints()
        by_path = _names_by_path(context)
        by_function = _names_by_function(context)
        for loaded, _, index, falsifier in context.falsifiers():
            test = falsifier.test
            if binding_of(context, falsifier) is not Binding.DANGLING:
                continue
            reason = _reason(context, test, by_path, by_function, hint)
            yield self.at(
                loaded,
                ("falsifiers", index, "test"),
                f"falsifier {falsifier.id!r} names a test that pytest does not collect{reason}",
                subject=falsifier.id,
            )


def _reason(
    context: LintContext, test: str, by_path: Mapping[str, list[str]], by_function: Mapping[str, str], hint: Hints
) -> str:
    path, _, name = test.partition("::")
    base, bracket, _ = test.partition("[")
    if bracket and base in context.tests:
        return f": {base} has no parameter set {test[len(base) :]}"
    if path in by_path:
        return f": {path} has no {name!r}" + hint(name, by_path[path])
    elsewhere = by_function.get(_function(test))
    if elsewhere is not None:
        return f"; did you mean {elsewhere!r}?"
    if not (context.root / path).is_file():
        return f": there is no file {path}"
    return f": it finds no test in {path}"


def _names_by_path(context: LintContext) -> Mapping[str, list[str]]:
    """Names behind the path, without parameters, by path."""
    found: dict[str, dict[str, None]] = {}
    for test in context.tests:
        path, _, name = test.partition("[")[0].partition("::")
        found.setdefault(path, {})[name] = None
    return {path: list(names) for path, names in found.items()}


def _names_by_function(context: LintContext) -> Mapping[str, str]:
    return {_function(test): test.partition("[")[0] for test in context.tests}


def _function(test: str) -> str:
    return test.partition("[")[0].rpartition("::")[2]
