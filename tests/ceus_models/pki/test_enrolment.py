"""From a site's request to its kit, and every request that gets none."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from made_federation import DAY, NOW, VERSIONS, Lab, lab

from ceus_models.pki.enrolment import KIT, REQUEST, SITE_ROLE, Kit, parse_content
from ceus_models.pki.keys import fingerprint, format_public_key, read_private_key
from ceus_models.pki.signed_documents import Document, DocumentError, read_document, sign_document
from ceus_models.runtime.errors import ExpectedError
from client.courier.folder import CourierFolder, courier_of
from client.courier.keys import KeysFault, request_enrolment
from server.federation.enrolment import EnrolmentError, renew_site, revoke
from server.federation.site_register import change_register, read_register


@pytest.fixture
def made(tmp_path: Path) -> Lab:
    return lab(tmp_path / "co")


def rewritten(courier: CourierFolder, **changes: object) -> Path:
    """The request with other content, signed by the same key."""
    content = {**read_document(courier.request, REQUEST).content, **changes}
    key = read_private_key(courier.key, "the key")
    courier.request.write_bytes(sign_document(REQUEST, content, {SITE_ROLE: key}))
    return courier.request


def test_a_kit_holds_what_the_site_needs_and_no_secret(made: Lab, tmp_path: Path) -> None:
    courier = made.site(tmp_path / "s")
    kit_path = made.enrol(courier.request)
    kit = made.join(courier, kit_path)
    assert (kit.federation, kit.site, kit.number, kit.address) == (made.identity, "site-01", 1, "localhost:18443")
    assert kit.expires == NOW + 365 * DAY
    assert any("approve" in line for line in kit.instructions)
    everything = kit_path.read_text() + courier.request.read_text() + made.home.sites.read_text()
    assert "PRIVATE" not in everything
    entry = read_register(made.home).current("site-01")
    assert entry
    assert entry.fingerprint == fingerprint(read_private_key(courier.key, "it").public_key())


def test_a_kit_names_no_study_and_those_of_older_versions_are_read_all_the_same(made: Lab, tmp_path: Path) -> None:
    document = read_document(made.enrol(made.site(tmp_path / "s").request), KIT)
    assert not {"plan", "plan_digest", "bundle"} & set(document.content)
    older = {**document.content, "plan": "tiny", "plan_digest": "ab" * 32, "bundle": "cd" * 32}
    kit = parse_content(Document(KIT, older, {}), Kit, "it")
    assert (kit.plan, kit.site) == ("tiny", "site-01")


def test_a_request_changed_on_its_way_is_refused(made: Lab, tmp_path: Path) -> None:
    courier = made.site(tmp_path / "s")
    courier.request.write_bytes(courier.request.read_bytes().replace(b"site-01", b"site-02"))
    with pytest.raises(EnrolmentError, match="must be signed by the key in it.*send the original file again"):
        made.enrol(courier.request)


def test_a_request_for_a_key_one_does_not_have_is_refused(made: Lab, tmp_path: Path) -> None:
    """Posing as another hospital with its public key, which is no secret."""
    victim, thief = made.site(tmp_path / "v"), made.site(tmp_path / "t", "site-02")
    theirs = read_document(victim.request, REQUEST).content["public_key"]
    with pytest.raises(EnrolmentError, match="does not have the private key"):
        made.enrol(rewritten(thief, public_key=theirs))


def test_a_replayed_request_is_refused(made: Lab, tmp_path: Path) -> None:
    courier = made.site(tmp_path / "s")
    copy = tmp_path / "copy.json"
    copy.write_bytes(courier.request.read_bytes())
    made.enrol(courier.request)
    with pytest.raises(EnrolmentError, match="was answered on .*ceus-coordinator renew FOLDER site-01"):
        made.enrol(copy)
    with change_register(made.home) as register:
        revoke("site-01", "left", register, NOW)
    with pytest.raises(EnrolmentError, match="was answered on"):
        made.enrol(copy)


def test_a_request_for_another_federation_is_refused(made: Lab, tmp_path: Path) -> None:
    other = lab(tmp_path / "other")
    with pytest.raises(EnrolmentError, match="is for the federation lab:.*ceus-site keys FOLDER --federation lab:"):
        made.enrol(other.site(tmp_path / "s").request)


def test_a_site_that_nobody_expects_is_refused(made: Lab, tmp_path: Path) -> None:
    with pytest.raises(EnrolmentError, match=r"site-99 is not among the sites of federation\.yaml.*add its name"):
        made.enrol(made.site(tmp_path / "s", "site-99").request)


@pytest.mark.parametrize(
    ("shift", "said"),
    [
        (
            timedelta(minutes=40),
            "made 40 min in the future: the site's clock is ahead, or this machine's is behind.*NTP",
        ),
        (-31 * DAY, "holds for 30 days.*makes it again"),
    ],
)
def test_a_clock_that_is_off_is_named(made: Lab, tmp_path: Path, shift: timedelta, said: str) -> None:
    courier = made.at(NOW + shift).site(tmp_path / "s")
    with pytest.raises(EnrolmentError, match=said):
        made.enrol(courier.request)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("protocol", 2, "protocol 1 here, 2 there"), ("flower", "1.40.2", r"Flower 1\.41\.0 here")],
)
def test_other_versions_are_refused(made: Lab, tmp_path: Path, field: str, value: object, said: str) -> None:
    courier = courier_of(tmp_path / "s")
    versions = VERSIONS.model_copy(update={field: value})
    request_enrolment(courier, "site-01", made.identity, False, versions, NOW)
    with pytest.raises(EnrolmentError, match=f"{said}.*install"):
        made.enrol(courier.request)


def test_a_copied_folder_is_not_another_site(made: Lab, tmp_path: Path) -> None:
    courier = made.joined(tmp_path / "s")
    with pytest.raises(EnrolmentError, match="is enrolled as site-01 already.*copied folders do not work"):
        made.enrol(rewritten(courier, site="site-02", nonce="0" * 64))


def test_a_stranger_cannot_take_a_sites_name(made: Lab, tmp_path: Path) -> None:
    made.joined(tmp_path / "s")
    stranger = made.site(tmp_path / "x")
    with pytest.raises(
        EnrolmentError, match="is enrolled with the key .*not signed by it.*revoke FOLDER site-01. first"
    ):
        made.enrol(stranger.request)
    known = read_register(made.home).current("site-01")
    assert known
    with pytest.raises(EnrolmentError, match="not signed by it"):
        made.enrol(rewritten(stranger, previous=known.fingerprint))  # claims the old key, cannot sign by it


def test_a_renewed_key_is_signed_by_the_old_one_and_both_work_for_a_while(made: Lab, tmp_path: Path) -> None:
    courier = made.joined(tmp_path / "s")
    old = read_private_key(courier.key, "it").public_key()
    made.site(tmp_path / "s", renew=True)
    kit = made.enrol(courier.request)
    both = {e.fingerprint: e for e in read_register(made.home).entries if e.works(NOW)}
    assert len(both) == 2
    assert both[fingerprint(old)].expires == NOW + 14 * DAY
    assert read_private_key(courier.key, "it").public_key() == old  # nothing changes before it joins
    made.join(courier, kit)
    assert read_private_key(courier.key, "it").public_key() != old
    assert not courier.next_key.exists()
    assert [e.works(NOW + 15 * DAY) for e in read_register(made.home).entries] == [False, True]


def test_a_revoked_key_never_works_again_and_a_new_one_may(made: Lab, tmp_path: Path) -> None:
    courier = made.joined(tmp_path / "s")
    with change_register(made.home) as register:
        assert revoke("site-01", "lost laptop", register, NOW) == 1
    entry = read_register(made.home).entries[0]
    assert (entry.standing, entry.reason, entry.works(NOW)) == ("revoked", "lost laptop", False)
    with pytest.raises(EnrolmentError, match="was revoked on .*--renew"):
        made.enrol(rewritten(courier, nonce="1" * 64))
    made.joined(tmp_path / "again")
    now_known = read_register(made.home).current("site-01")
    assert now_known
    assert now_known.fingerprint != entry.fingerprint
    assert now_known.kit == 2  # goes on, so that the first kit stays known as stale
    with pytest.raises(EnrolmentError, match="site-02 has no key to revoke"):
        revoke("site-02", "", read_register(made.home), NOW)


def test_renewal_keeps_the_key_and_extends_the_time(made: Lab, tmp_path: Path) -> None:
    courier = made.joined(tmp_path / "s")
    later = made.at(NOW + 340 * DAY)
    with change_register(made.home) as register:
        kit = renew_site("site-01", later.office(), register)
    assert (kit.number, kit.expires) == (2, NOW + 705 * DAY)
    assert kit.public_key == format_public_key(read_private_key(courier.key, "it").public_key())
    with pytest.raises(EnrolmentError, match="expired on .*Flower takes no key again.*ceus-site keys FOLDER --renew"):
        renew_site("site-01", made.at(NOW + 800 * DAY).office(), read_register(made.home))
    with pytest.raises(EnrolmentError, match="site-02 is not enrolled"):
        renew_site("site-02", made.office(), read_register(made.home))


def test_a_request_made_twice_is_one_request(made: Lab, tmp_path: Path) -> None:
    """So that a site that ran the command again can still join with the kit for its first request."""
    courier = made.site(tmp_path / "s")
    kit = made.enrol(courier.request)
    made.at(NOW + DAY).site(tmp_path / "s")
    assert made.at(NOW + DAY).join(courier, kit).number == 1


@pytest.mark.parametrize(
    ("site", "federation", "said"),
    [("a/b", None, "letters, digits and hyphens"), ("site-01", "lab", "eight groups of four")],
)
def test_names_that_cannot_be_are_refused_at_the_site(
    made: Lab, tmp_path: Path, site: str, federation: str | None, said: str
) -> None:
    with pytest.raises(KeysFault, match=said):
        request_enrolment(courier_of(tmp_path / "s"), site, federation or made.identity, False, VERSIONS, NOW)
    assert not (tmp_path / "s").exists()


def test_keys_of_an_enrolled_site_are_not_replaced_by_accident(made: Lab, tmp_path: Path) -> None:
    courier = made.joined(tmp_path / "s")
    before = courier.key.read_bytes()
    with pytest.raises(KeysFault, match="enrolled already.*--renew"):
        made.site(tmp_path / "s")
    with pytest.raises(KeysFault, match="not enrolled yet"):
        made.site(tmp_path / "t", renew=True)
    assert courier.key.read_bytes() == before
    assert courier.key.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "change",
    [{"site": "../x"}, {"made": "yesterday"}, {"nonce": "1"}, {"more": 1}, {"versions": {}}, {"federation": "x"}],
)
def test_content_in_another_form_is_refused(made: Lab, tmp_path: Path, change: dict[str, object]) -> None:
    courier = made.site(tmp_path / "s")
    with pytest.raises(DocumentError, match=f"{next(iter(change))}.* is not as this version of fedceus writes it"):
        made.enrol(rewritten(courier, **change))


def test_another_kind_of_key_is_refused(made: Lab, tmp_path: Path) -> None:
    courier = made.site(tmp_path / "s")
    with pytest.raises(ExpectedError, match="expected a public key"):
        made.enrol(rewritten(courier, public_key="ssh-rsa AAAA"))


def test_a_refused_request_leaves_the_register_as_it_was(made: Lab, tmp_path: Path) -> None:
    made.joined(tmp_path / "s")
    before = made.home.sites.read_bytes()
    with pytest.raises(EnrolmentError):
        made.enrol(made.site(tmp_path / "x").request)
    assert made.home.sites.read_bytes() == before


def test_two_commands_at_once_do_not_lose_a_site(made: Lab, tmp_path: Path) -> None:
    with change_register(made.home), pytest.raises(ExpectedError, match="another command is changing the register"):
        made.enrol(made.site(tmp_path / "s").request)


def test_a_damaged_register_is_not_taken_for_an_empty_one(made: Lab, tmp_path: Path) -> None:
    made.joined(tmp_path / "s")
    made.home.sites.write_text(json.dumps({"version": 1, "entries": [{}]}))
    with pytest.raises(ExpectedError, match="register of sites is damaged.*restore it"):
        read_register(made.home)
