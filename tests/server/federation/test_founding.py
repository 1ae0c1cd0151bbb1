"""`ceus-coordinator init`: made once, run again at will; the CA stays."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from made_federation import DAY, FEDERATION, NOW, PLAN, Lab, digest, lab

from ceus_models.pki.certificates import parse_certificate
from ceus_models.plan.plan import load_plan
from ceus_models.runtime.errors import FaultList
from server.federation.certificate_authority import AuthorityError, open_authority
from server.federation.federation_file import load_federation
from server.federation.founding import renew_front, set_up_federation, write_example
from server.run_folder.paths import Home
from server.transport.fab import build_fab


def test_the_first_time_it_writes_the_form(tmp_path: Path) -> None:
    assert write_example(tmp_path / "new")
    assert not write_example(tmp_path / "new")
    assert load_federation(tmp_path / "new" / "federation.yaml").name == "ceus-study"


def test_private_things_are_private(tmp_path: Path) -> None:
    home = lab(tmp_path).home
    for path in (home.ca_key, home.front_key, home.superlink_key, home.superexec_secret):
        assert path.stat().st_mode & 0o777 == 0o600, path
        assert path.parent.stat().st_mode & 0o777 == 0o700, path.parent


def test_openssl_takes_the_certificates_and_their_names(tmp_path: Path) -> None:
    home = lab(tmp_path).home
    for certificate, key in ((home.front, home.front_key), (home.superlink, home.superlink_key)):
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        client = ssl.create_default_context(cafile=str(home.ca))
        assert _shakes(client, certificate, key, "localhost")
        assert _shakes(client, certificate, key, "127.0.0.1")
        assert not _shakes(client, certificate, key, "elsewhere.example.org")


def _shakes(client: ssl.SSLContext, certificate: Path, key: Path, name: str) -> bool:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    a, b, c, d = ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO()
    ours, theirs = client.wrap_bio(a, b, server_hostname=name), server.wrap_bio(c, d, server_side=True)
    for _ in range(4):
        for side, out, into in ((ours, b, c), (theirs, d, a)):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError:
                return False
            into.write(out.read())
    return ours.cipher() is not None


def test_again_it_keeps_everything(tmp_path: Path) -> None:
    made = lab(tmp_path)
    before = _contents(made)
    again = set_up_federation(tmp_path, None, NOW + DAY)
    assert _contents(made) == before
    assert again.identity == made.identity
    assert sum(line.startswith("kept") for line in again.told) == 3


def _contents(made: Lab) -> dict[Path, str]:
    return {path: digest(path.read_bytes()) for path in made.home.folder.rglob("*") if path.is_file()}


def test_changed_names_make_a_new_front_certificate_and_nothing_else(tmp_path: Path) -> None:
    made = lab(tmp_path)
    before = _contents(made)
    made.home.federation.write_text(FEDERATION.replace("[127.0.0.1]", "[127.0.0.1, other.example.org]"))
    told = set_up_federation(tmp_path, None, NOW).told
    assert any("its names have changed" in line for line in told)
    after = _contents(made)
    changed = {path.name for path in after if after[path] != before.get(path)}
    assert changed == {"federation.yaml", "front.pem", "front.key"}


def test_a_certificate_near_its_end_is_made_anew_by_the_same_ca(tmp_path: Path) -> None:
    made = lab(tmp_path)
    old = made.home.front.read_bytes()
    told = set_up_federation(tmp_path, None, NOW + 340 * DAY).told
    assert any("about to expire" in line for line in told)
    assert made.home.front.read_bytes() != old
    assert (
        renew_front(made.home, load_federation(made.home.federation), None, NOW).not_valid_after_utc == NOW + 365 * DAY
    )


def test_a_key_or_certificate_that_was_damaged_is_made_anew(tmp_path: Path) -> None:
    made = lab(tmp_path)
    made.home.front_key.write_bytes(made.home.superlink_key.read_bytes())
    made.home.superlink.write_text("nonsense")
    told = "\n".join(set_up_federation(tmp_path, None, NOW).told)
    assert "the old one was for another key" in told
    assert "damaged or of another CA" in told


@pytest.mark.parametrize("gone", [["ca.key"], ["ca.pem"]])
def test_a_lost_ca_is_never_replaced(tmp_path: Path, gone: list[str]) -> None:
    made = lab(tmp_path)
    for name in gone:
        (made.home.ca.parent / name).unlink()
    made.home.front.unlink()
    with pytest.raises(
        AuthorityError, match=r"restore it from the backup\. A new CA would make every site's kit invalid"
    ):
        set_up_federation(tmp_path, None, NOW)


def test_a_lost_ca_of_enrolled_sites_is_never_replaced(tmp_path: Path) -> None:
    made = lab(tmp_path / "co")
    made.joined(tmp_path / "site-01")
    made.home.ca.unlink()
    made.home.ca_key.unlink()
    with pytest.raises(AuthorityError, match="sites are enrolled here, but the CA is gone"):
        set_up_federation(made.home.folder, None, NOW)


def test_a_federation_keeps_its_name(tmp_path: Path) -> None:
    made = lab(tmp_path)
    made.home.federation.write_text(FEDERATION.replace("name: lab", "name: other"))
    with pytest.raises(AuthorityError, match="put the old one back"):
        set_up_federation(tmp_path, None, NOW)


def test_the_cas_key_may_be_encrypted(tmp_path: Path) -> None:
    (tmp_path / "federation.yaml").write_text(FEDERATION)
    (tmp_path / "plan.yaml").write_text(PLAN)
    with pytest.raises(AuthorityError, match="at least 12"):
        set_up_federation(tmp_path, b"short", NOW)
    set_up_federation(tmp_path, b"a long passphrase", NOW)
    home = Home(tmp_path)
    assert b"ENCRYPTED" in home.ca_key.read_bytes()
    set_up_federation(tmp_path, None, NOW)  # nothing is to be issued, so the key stays closed
    open_authority(home, b"a long passphrase", NOW)
    for wrong, said in ((None, "--passphrase-file"), (b"another passphrase", "the passphrase is wrong")):
        with pytest.raises(AuthorityError, match=said):
            open_authority(home, wrong, NOW)


def test_a_ca_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    home = lab(tmp_path).home
    home.ca_key.chmod(0o644)
    with pytest.raises(AuthorityError, match="open to other users.*chmod 600"):
        open_authority(home, None, NOW)


def test_the_faults_of_both_files_come_together(tmp_path: Path) -> None:
    (tmp_path / "federation.yaml").write_text(FEDERATION.replace("sites:", "sitse:"))
    (tmp_path / "plan.yaml").write_text(PLAN.replace("quorum:", "quorm:"))
    with pytest.raises(FaultList, match=r"(?s)sitse: unknown key.*quorm: unknown key"):
        set_up_federation(tmp_path, None, NOW)


def test_the_bundle_is_of_this_federation_and_this_plan(tmp_path: Path) -> None:
    made = lab(tmp_path)
    plan = tmp_path / "plan.yaml"
    expected = build_fab(federation=made.identity, plan_digest=load_plan(plan).digest(), least_sites=1)
    assert made.study.bundle.read_bytes() == expected
    plan.write_text(PLAN.replace("tiny", "other"))
    assert any("every site must approve this one" in line for line in set_up_federation(tmp_path, None, NOW).told)
    assert made.study.bundle.read_bytes() != expected


def test_too_few_sites_for_the_plan_are_said_before_anybody_is_asked(tmp_path: Path) -> None:
    lab(tmp_path)
    assert not any("before the run" in line for line in set_up_federation(tmp_path, None, NOW).told)
    (tmp_path / "plan.yaml").write_text(PLAN.replace(", sites: 1", ""))
    told = set_up_federation(tmp_path, None, NOW).told
    assert "at least 3 sites in hello, found 2 in federation.yaml" in told[-1]


def test_the_superlinks_certificate_lasts_as_long_as_the_ca(tmp_path: Path) -> None:
    home = lab(tmp_path).home
    ends = [parse_certificate(path.read_bytes(), "it").not_valid_after_utc for path in (home.ca, home.superlink)]
    assert ends[0] == ends[1] > NOW + 7000 * DAY
