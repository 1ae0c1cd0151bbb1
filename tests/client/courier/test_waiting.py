"""What waits at a site: the newest bundle of each study, in bounds; another one is an alarm or a fault."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from made_bundles import NOW, OURS, TRUST, files_of, packed, signed_bundle, with_files

from ceus_models.pki.keys import generate_key
from client.courier.approval import approve, refuse
from client.courier.fab import ForeignBundleError, contents_of
from client.courier.folder import CourierFolder
from client.courier.waiting import (
    MOST,
    end_alarm,
    find_bundles,
    keep_waiting,
    note_alarm,
    read_alarm,
)

PLAN = "{{name: {name}, quorum: {{share: {share}}}, stages: [{{stage: hello}}]}}"


@pytest.fixture
def courier(tmp_path: Path) -> CourierFolder:
    made = CourierFolder(tmp_path / "courier")
    made.folder.mkdir()
    return made


def bundle(name: str = "liver", share: float = 0.5, hours: int = 0) -> bytes:
    return signed_bundle(PLAN.format(name=name, share=share), made=NOW + timedelta(hours=hours))


def found(courier: CourierFolder) -> list[tuple[str, str]]:
    return [
        (one.contents.study.study, one.contents.sha256[:8])
        for one in find_bundles(courier, courier.folder.parent, TRUST).waiting
    ]


def name_of(content: bytes) -> tuple[str, str]:
    contents = contents_of(content, TRUST)
    return contents.study.study, contents.sha256[:8]


def test_the_newest_of_each_study_waits_wherever_it_lies(courier: CourierFolder) -> None:
    old, new, other = bundle(hours=1), bundle(share=0.6, hours=2), bundle("lung", hours=3)
    keep_waiting(courier, old, TRUST)
    keep_waiting(courier, new, TRUST)
    (courier.folder.parent / "bundle.fab").write_bytes(other)
    assert found(courier) == [name_of(other), name_of(new)]
    approve(courier, contents_of(new, TRUST), "it", NOW)
    assert found(courier) == [name_of(other)], "an older one of an approved study waits no more"
    refuse(courier, contents_of(other, TRUST).sha256)
    assert found(courier) == []
    assert [one.refused for one in find_bundles(courier, courier.folder.parent, TRUST).bundles] == [True]


def test_a_flood_is_bounded_and_the_newest_stay(courier: CourierFolder) -> None:
    made = [bundle(f"study-{number}", hours=number) for number in range(MOST + 5)]
    for content in made:
        keep_waiting(courier, content, TRUST)
    keep_waiting(courier, made[0], TRUST)
    kept = {path.stem for path in courier.waiting.iterdir()}
    assert kept == {contents_of(content, TRUST).sha256 for content in made[-MOST:]}


@pytest.mark.parametrize("content", [signed_bundle(key=generate_key()), with_files(client=b"")])
def test_what_nobody_signed_is_not_kept(courier: CourierFolder, content: bytes) -> None:
    with pytest.raises(ForeignBundleError):
        keep_waiting(courier, content, TRUST)
    assert not courier.waiting.exists()


def test_a_file_from_elsewhere_is_an_alarm_and_an_old_one_a_fault(courier: CourierFolder) -> None:
    (courier.folder.parent / "a.fab").write_bytes(signed_bundle(key=generate_key()))
    (courier.folder.parent / "b.fab").write_bytes(packed({"pyproject.toml": files_of(OURS)["pyproject.toml"]}))
    (courier.folder.parent / "c.fab").write_bytes(b"x" * (1 << 20))
    seen = find_bundles(courier, courier.folder.parent, TRUST)
    assert seen.bundles == ()
    assert [said.partition(":")[0] for said in seen.alarms] == ["a.fab"]
    assert [said.partition(":")[0] for said in seen.faults] == ["b.fab", "c.fab"]


def test_an_alarm_counts_until_somebody_has_seen_it(courier: CourierFolder) -> None:
    assert read_alarm(courier) is None
    note_alarm(courier, b"one", "signed by nobody", NOW)
    assert note_alarm(courier, b"two", "signed by nobody", NOW).count == 2
    courier.alarm.write_text("{")
    alarm = read_alarm(courier)
    assert alarm
    assert "cannot be read" in alarm.said
    end_alarm(courier)
    end_alarm(courier)
    assert read_alarm(courier) is None
