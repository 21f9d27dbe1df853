"""Every rule, once, by name."""

from __future__ import annotations

from pv.errors import UsageError
from pv.lint.rule import Rule
from pv.lint.rules.alias import Alias
from pv.lint.rules.assertion_free_test import AssertionFreeTest
from pv.lint.rules.bidirectional_override import BidirectionalOverride
from pv.lint.rules.byte_order_mark import ByteOrderMark
from pv.lint.rules.collection_error import CollectionError
from pv.lint.rules.constant_assertions import ConstantAssertions
from pv.lint.rules.copied_text import CopiedText
from pv.lint.rules.dangling_test import DanglingTest
from pv.lint.rules.dependency_cycle import DependencyCycle
from pv.lint.rules.different_limit import DifferentLimit
from pv.lint.rules.directive import Directive
from pv.lint.rules.duplicate_challenge import DuplicateChallenge
from pv.lint.rules.duplicate_contract_id import DuplicateContractId
from pv.lint.rules.duplicate_falsifier_id import DuplicateFalsifierId
from pv.lint.rules.duplicate_key import DuplicateKey
from pv.lint.rules.duplicate_obligation_id import DuplicateObligationId
from pv.lint.rules.duplicate_waiver import DuplicateWaiver
from pv.lint.rules.edited_discharge import EditedDischarge
from pv.lint.rules.empty_file import EmptyFile
from pv.lint.rules.expired_baseline_entry import ExpiredBaselineEntry
from pv.lint.rules.expired_suppression import ExpiredSuppression
from pv.lint.rules.expired_waiver import ExpiredWaiver
from pv.lint.rules.file_name_mismatch import FileNameMismatch
from pv.lint.rules.forbidden_character import ForbiddenCharacter
from pv.lint.rules.foreign_marker import ForeignMarker
from pv.lint.rules.invalid_value import InvalidValue
from pv.lint.rules.inverted_tolerance import InvertedTolerance
from pv.lint.rules.key_not_text import KeyNotText
from pv.lint.rules.malformed_subject import MalformedSubject
from pv.lint.rules.merge_key import MergeKey
from pv.lint.rules.missing_challenge import MissingChallenge
from pv.lint.rules.missing_equation import MissingEquation
from pv.lint.rules.missing_falsifier import MissingFalsifier
from pv.lint.rules.missing_key import MissingKey
from pv.lint.rules.missing_marker import MissingMarker
from pv.lint.rules.missing_reference import MissingReference
from pv.lint.rules.missing_tolerance import MissingTolerance
from pv.lint.rules.missing_version_bump import MissingVersionBump
from pv.lint.rules.more_findings import MoreFindings
from pv.lint.rules.not_a_mapping import NotAMapping
from pv.lint.rules.not_utf_8 import NotUtf8
from pv.lint.rules.orphan_marker import OrphanMarker
from pv.lint.rules.parameter_bound_partially import ParameterBoundPartially
from pv.lint.rules.perpetual_suppression import PerpetualSuppression
from pv.lint.rules.perpetual_waiver import PerpetualWaiver
from pv.lint.rules.placeholder_text import PlaceholderText
from pv.lint.rules.prose_test_reference import ProseTestReference
from pv.lint.rules.repeated_item import RepeatedItem
from pv.lint.rules.self_dependency import SelfDependency
from pv.lint.rules.self_referential_test import SelfReferentialTest
from pv.lint.rules.several_documents import SeveralDocuments
from pv.lint.rules.shadowed_test import ShadowedTest
from pv.lint.rules.stale_discharge import StaleDischarge
from pv.lint.rules.tag import Tag
from pv.lint.rules.threshold_after_evidence import ThresholdAfterEvidence
from pv.lint.rules.tolerance_and_exact import ToleranceAndExact
from pv.lint.rules.too_deep import TooDeep
from pv.lint.rules.too_large import TooLarge
from pv.lint.rules.toothless_tolerance import ToothlessTolerance
from pv.lint.rules.unchecked_discharge import UncheckedDischarge
from pv.lint.rules.unconditional_skip import UnconditionalSkip
from pv.lint.rules.unknown_dependency import UnknownDependency
from pv.lint.rules.unknown_equation import UnknownEquation
from pv.lint.rules.unknown_fault import UnknownFault
from pv.lint.rules.unknown_gate_waiver import UnknownGateWaiver
from pv.lint.rules.unknown_key import UnknownKey
from pv.lint.rules.unknown_obligation import UnknownObligation
from pv.lint.rules.unknown_subject import UnknownSubject
from pv.lint.rules.unknown_suppressed_rule import UnknownSuppressedRule
from pv.lint.rules.unsafe_test_path import UnsafeTestPath
from pv.lint.rules.unused_baseline_entry import UnusedBaselineEntry
from pv.lint.rules.unused_equation import UnusedEquation
from pv.lint.rules.unused_suppression import UnusedSuppression
from pv.lint.rules.vacuous_gate import VacuousGate
from pv.lint.rules.waiver_without_obligation import WaiverWithoutObligation
from pv.lint.rules.wrong_type import WrongType
from pv.lint.rules.xfail_test import XfailTest
from pv.lint.rules.yaml_syntax import YamlSyntax
from pv.schema.finding import Finding
from pv.suggest import did_you_mean

RULES: tuple[Rule, ...] = (
    Alias(),
    AssertionFreeTest(),
    BidirectionalOverride(),
    ByteOrderMark(),
    CollectionError(),
    ConstantAssertions(),
    CopiedText(),
    DanglingTest(),
    DependencyCycle(),
    DifferentLimit(),
    Directive(),
    DuplicateChallenge(),
    DuplicateContractId(),
    DuplicateFalsifierId(),
    DuplicateKey(),
    DuplicateObligationId(),
    DuplicateWaiver(),
    EditedDischarge(),
    EmptyFile(),
    ExpiredBaselineEntry(),
    ExpiredSuppression(),
    ExpiredWaiver(),
    FileNameMismatch(),
    ForbiddenCharacter(),
    ForeignMarker(),
    InvalidValue(),
    InvertedTolerance(),
    KeyNotText(),
    MalformedSubject(),
    MergeKey(),
    MissingChallenge(),
    MissingEquation(),
    MissingFalsifier(),
    MissingKey(),
    MissingMarker(),
    MissingReference(),
    MissingTolerance(),
    MissingVersionBump(),
    MoreFindings(),
    NotAMapping(),
    NotUtf8(),
    OrphanMarker(),
    ParameterBoundPartially(),
    PerpetualSuppression(),
    PerpetualWaiver(),
    PlaceholderText(),
    ProseTestReference(),
    RepeatedItem(),
    SelfDependency(),
    SelfReferentialTest(),
    SeveralDocuments(),
    ShadowedTest(),
    StaleDischarge(),
    Tag(),
    ThresholdAfterEvidence(),
    ToleranceAndExact(),
    TooDeep(),
    TooLarge(),
    ToothlessTolerance(),
    UncheckedDischarge(),
    UnconditionalSkip(),
    UnknownDependency(),
    UnknownEquation(),
    UnknownFault(),
    UnknownGateWaiver(),
    UnknownKey(),
    UnknownObligation(),
    UnknownSubject(),
    UnknownSuppressedRule(),
    UnsafeTestPath(),
    UnusedBaselineEntry(),
    UnusedEquation(),
    UnusedSuppression(),
    VacuousGate(),
    WaiverWithoutObligation(),
    WrongType(),
    XfailTest(),
    YamlSyntax(),
)

RULES_BY_NAME = {rule.name: rule for rule in RULES}


def rule_named(name: str) -> Rule:
    """Raises:
    UsageError: there is no such rule; names the nearest one.
    """
    rule = RULES_BY_NAME.get(name)
    if rule is None:
        hint = did_you_mean(name, RULES_BY_NAME) or "; 'pv rules' lists them"
        raise UsageError(f"no rule is called {name!r}{hint}")
    return rule


def may_be_known(finding: Finding) -> bool:
    """Whether a contract or a baseline may hide it."""
    rule = RULES_BY_NAME.get(finding.rule)
    return rule is not None and rule.suppressible
