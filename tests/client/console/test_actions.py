"""Every button of the site's console does what its command does, and only for a form of this session."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import urlencode

import pytest
from made_bundles import NOW, signed_bundle
from made_site_console import LESIONS, SiteDesk, hospital

from ceus_models.pki.keys import generate_key
from client.courier.approval import approvals, list_refused, want_reviewers
from client.courier.folder import courier_of
from client.courier.waiting import note_alarm, read_alarm
from client.data.forms.site_config import load_site
from client.policy.approved_studies import read_approved
from client.worker.audit.log import entries
from client.worker.site.opt_out import EVERY_STUDY, read_participation


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hospital(tmp_path_factory.mktemp("site"))


@pytest.fixture
def there(made: Path, tmp_path: Path) -> SiteDesk:
    folder = tmp_path / "hospital-in-a-folder"
    shutil.copytree(made, folder)
    desk = SiteDesk(folder)
    desk.sign_in()
    desk.said.clear()
    return desk


def press(desk: SiteDesk, path: str, **form: str) -> tuple[int, str]:
    """As the button does it; the status, and where it leads or what it says."""
    answer = desk.post(path, {"form": desk.session.form, **form})
    return answer.status, answer.headers.get("location", answer.text)


def waiting(desk: SiteDesk) -> str:
    """The bundle that the page offers to approve."""
    found = re.search(
        r'action="/approve"[^>]*>.*?name="bundle" value="([0-9a-f]{64})"', desk.get("/approval").text, re.S
    )
    assert found
    return found[1]


def approvals_written(desk: SiteDesk) -> list[tuple[str, str]]:
    found = [entry for entry in entries(desk.folder / "records") if entry["kind"] == "approval"]
    return [(entry["action"], entry["by"]) for entry in found[1:]]


def test_a_bundle_is_approved_by_a_button_and_its_plan_holds(there: SiteDesk) -> None:
    sha = waiting(there)
    assert press(there, "/approve", bundle=sha) == (303, "/approval")
    assert approvals(courier_of(there.folder))[-1].sha256 == sha
    assert len(read_approved(there.folder / "records").in_force()) == 2
    assert "waits for approval" not in there.get("/approval").text
    assert approvals_written(there) == [("approve", "ada")]


def test_the_same_person_does_not_approve_twice(there: SiteDesk) -> None:
    want_reviewers(courier_of(there.folder), 2)
    sha = waiting(there)
    assert press(there, "/approve", bundle=sha)[0] == 303
    status, text = press(there, "/approve", bundle=sha)
    assert status == 409
    assert "ada approved this bundle already, and 2 people must" in text
    assert read_approved(there.folder / "records").in_force() == {}, "one is not enough"
    there.session.account = "grace"
    assert press(there, "/approve", bundle=sha)[0] == 303
    assert len(read_approved(there.folder / "records").in_force()) == 1


@pytest.mark.parametrize("bundle", ["", "ab" * 32, "*", "../../etc/passwd"])
def test_a_bundle_that_does_not_wait_is_neither_approved_nor_refused(there: SiteDesk, bundle: str) -> None:
    for path in ("/approve", "/refuse"):
        assert press(there, path, bundle=bundle)[0] == 409
    assert approvals_written(there) == []


def test_a_bundle_is_refused_and_approved_later(there: SiteDesk) -> None:
    sha = waiting(there)
    assert press(there, "/refuse", bundle=sha)[0] == 303
    assert list_refused(courier_of(there.folder)) == (sha,)
    assert "Refused: study liver" in there.get("/approval").text
    assert press(there, "/approve", bundle=waiting(there))[0] == 303
    assert approvals_written(there) == [("refuse", "ada"), ("approve", "ada")]


def test_an_approval_is_taken_back_from_the_next_task_on(there: SiteDesk) -> None:
    (one,) = approvals(courier_of(there.folder))
    assert press(there, "/disapprove", bundle=one.sha256)[0] == 303
    assert approvals(courier_of(there.folder)) == ()
    assert read_approved(there.folder / "records").in_force() == {}
    assert approvals_written(there) == [("disapprove", "ada")]
    assert press(there, "/disapprove", bundle=one.sha256)[0] == 409


def test_a_bundle_from_elsewhere_is_a_red_alarm_and_has_no_button(there: SiteDesk) -> None:
    (there.folder / "bundle.fab").write_bytes(signed_bundle(key=generate_key()))
    note_alarm(courier_of(there.folder), b"x", "it was signed by somebody else", NOW)
    text = there.get("/approval").text
    assert text.count("ALARM") == 2
    assert 'action="/approve"' not in text
    assert "ALARM" in there.get("/").text
    assert press(there, "/seen")[0] == 303
    assert read_alarm(courier_of(there.folder)) is None
    assert approvals_written(there) == [("alarm seen", "ada")]


def test_a_study_is_left_after_a_second_page_and_joined_again(there: SiteDesk) -> None:
    records = there.folder / "records"
    status, text = press(there, "/withdraw", study="liver")
    assert status == 200
    assert "deletes what this site keeps of it" in text
    assert read_participation(records).withdrawn == {}, "the first page only asks"
    assert press(there, "/withdraw/confirm", study="liver") == (303, "/")
    assert list(read_participation(records).withdrawn) == list(read_approved(records).names())
    assert "from the study liver" in " ".join(there.get("/").text.split())
    assert press(there, "/rejoin", study="liver") == (303, "/")
    assert read_participation(records).withdrawn == {}
    assert press(there, "/withdraw/confirm", study=EVERY_STUDY)[0] == 303
    assert list(read_participation(records).withdrawn) == [EVERY_STUDY]
    assert press(there, "/rejoin", study=EVERY_STUDY)[0] == 303
    for path in ("/withdraw", "/withdraw/confirm", "/rejoin"):
        assert press(there, path, study="nobody's")[0] == 409
    kinds = [entry["kind"] for entry in entries(records)]
    assert kinds.count("withdraw") == kinds.count("rejoin") == 2


def names(text: str, word: str) -> bool:
    """Whether a word stands in a text; as a part of a form's random token it does not."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def test_a_patient_is_forgotten_after_a_second_page_and_his_id_is_nowhere(there: SiteDesk) -> None:
    table = (there.folder / "lesions.csv").read_text().splitlines()
    column = table[0].split(",").index("patient_id")
    patient = table[1].split(",")[column]
    status, text = press(there, "/forget", patient_id=f" {patient} ")
    assert status == 200
    assert "1 lesion</b>" not in text
    assert "lesion" in text
    assert not names(text, patient)
    word = re.search(r'name="found" value="([^"]+)"', text)
    assert word
    cached = len(list((there.folder / ".ceus/cache").glob("*.safetensors")))
    status, text = press(there, "/forget/confirm", found=word[1])
    assert status == 200
    assert "forgotten, from the next task on" in text
    assert not names(text, patient)
    assert not [lesion for lesion in LESIONS if names(text, lesion)]
    assert len(list((there.folder / ".ceus/cache").glob("*.safetensors"))) == cached - 1
    assert press(there, "/forget/confirm", found=word[1])[0] == 409, "a page asks once"
    forgotten = [entry for entry in entries(there.folder / "records") if entry["kind"] == "forget"]
    assert [entry["by"] for entry in forgotten] == ["ada"]
    assert patient not in "".join(map(str, there.said))
    assert patient not in (there.folder / "records/audit.jsonl").read_text()
    assert {event["page"] for event in there.said} == {"/forget", "/forget/confirm"}


def test_a_patient_that_nobody_knows_is_said_without_his_id(there: SiteDesk) -> None:
    for patient in ("NOBODY-4711", "", "<script>"):
        status, text = press(there, "/forget", patient_id=patient)
        assert status == 409
        assert "found no lesion of this one" in text
        assert "NOBODY" not in text
        assert "<script>" not in text


def test_no_action_is_a_link_and_none_takes_a_form_of_elsewhere(there: SiteDesk) -> None:
    sha, records = waiting(there), there.folder / "records"
    before = (records / "audit.jsonl").read_bytes()
    forms = {
        "/approve": {"bundle": sha},
        "/refuse": {"bundle": sha},
        "/disapprove": {"bundle": approvals(courier_of(there.folder))[0].sha256},
        "/withdraw/confirm": {"study": "liver"},
        "/forget": {"patient_id": "P0"},
        "/forget/confirm": {"found": "x"},
        "/seen": {},
    }
    for path, form in forms.items():
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            assert there.get(f"{path}?{urlencode(form)}", method).status == 405
        assert there.post(path, form).status == 403
        assert there.post(path, {"form": "wrong", **form}).status == 403
        valid = {"form": there.session.form, **form}
        assert there.post(path, valid, **{"sec-fetch-site": "cross-site"}).status == 403
        assert there.post(path, valid, cookie="").status == 401
    assert (records / "audit.jsonl").read_bytes() == before
    assert load_site(there.folder).records == records
