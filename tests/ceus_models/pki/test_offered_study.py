"""A study that a coordinator signed is read; what another signed, of another federation, or another plan is not."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from ceus_models.pki.enrolment import format_federation_id
from ceus_models.pki.keys import generate_key
from ceus_models.pki.offered_study import ForeignStudyError, OfferedStudy, read_study, sign_study, verify_study
from ceus_models.pki.signed_documents import DocumentError

CA = generate_key()
FEDERATION = format_federation_id("lab", CA.public_key())
PLAN = '{"name": "liver"}'
STUDY = OfferedStudy(
    federation=FEDERATION,
    study="liver",
    plan=PLAN,
    plan_digest=hashlib.sha256(PLAN.encode()).hexdigest(),
    settings="ab" * 32,
    made=datetime(2026, 11, 29, tzinfo=UTC),
)


def test_what_was_signed_is_read_again() -> None:
    assert verify_study(sign_study(STUDY, CA), "it", FEDERATION, CA.public_key()) == STUDY
    later = STUDY.model_copy(update={"made": STUDY.made + timedelta(days=1)})
    assert STUDY.is_same(later)
    assert not STUDY.is_same(later.model_copy(update={"study": "lung"}))


def test_another_signature_a_changed_byte_and_another_federation_are_alarms() -> None:
    signed = sign_study(STUDY, CA)
    for data in (sign_study(STUDY, generate_key()), signed.replace(b"2026-11-29", b"2026-11-30")):
        with pytest.raises(ForeignStudyError, match="lab's coordinator signed"):
            verify_study(data, "it", FEDERATION, CA.public_key())
    with pytest.raises(ForeignStudyError, match="it is of lab:"):
        verify_study(signed, "it", format_federation_id("other", CA.public_key()), CA.public_key())


def test_a_plan_of_another_digest_is_refused_whoever_signed_it() -> None:
    other = STUDY.model_copy(update={"plan": '{"name": "lung"}'})
    for read in (
        lambda data: read_study(data, "it"),
        lambda data: verify_study(data, "it", FEDERATION, CA.public_key()),
    ):
        with pytest.raises(DocumentError, match="expected the plan of digest"):
            read(sign_study(other, CA))


@pytest.mark.parametrize("plan", ['{"name": "\\u001b[2J"}', '{"stages": [{"na\\nme": 1}]}', "no json", "[" * 20_000])
def test_a_plan_that_a_terminal_would_obey_is_refused(plan: str) -> None:
    """The characters may be written as escapes, which the document's own check does not see."""
    digest = hashlib.sha256(plan.encode()).hexdigest()
    signed = sign_study(STUDY.model_copy(update={"plan": plan, "plan_digest": digest}), CA)
    with pytest.raises(DocumentError, match="printable text in JSON"):
        verify_study(signed, "it", FEDERATION, CA.public_key())
