"""Studies on their way in: kept object by object, moved over whole, dropped when old, never beyond the quota."""

from __future__ import annotations

import errno
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from made_export import ID, write_clip

from client.data.forms.receive_form import ReceiveForm
from client.service.receiving.staging import NoRoomError, NoUltrasoundError, StagedStudies


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(tmp_path: Path, clock: Clock, **limits: Any) -> StagedStudies:
    form = {"title": "US", "callers": [{"title": "PACS"}], "min_free_gib": 1e-6, "quiet_s": 10, **limits}
    return StagedStudies(tmp_path / "site", b"k" * 32, ReceiveForm.model_validate(form), clock)


def bring(staged: StagedStudies, seed: int, study: str = "1.2.3", **tags: Any) -> str:
    """An object as the network gives it."""
    path = write_clip(staged.incoming / f"tmp{seed}.dcm", seed, StudyInstanceUID=study, **tags)
    kept = staged.keep(path)
    assert not path.exists()
    return kept


def test_a_study_moves_over_when_it_ended_and_is_quiet(tmp_path: Path, clock: Clock) -> None:
    staged = make(tmp_path, clock)
    study = bring(staged, 1)
    assert bring(staged, 2) == study
    assert staged.finish(()) == [], "its association is under way"
    staged.end([study])
    assert staged.finish(()) == [], "not quiet yet"
    clock.now += 11
    assert staged.finish([study]) == [], "another association brings more of it"
    (moved,) = staged.finish(())
    assert moved.parent == tmp_path / "site" / "clips" / "received"
    assert len(list(moved.iterdir())) == 2
    assert list(staged.studies.iterdir()) == []
    assert ID not in str(list((tmp_path / "site").rglob("*")))


def test_one_more_object_makes_it_wait_again(tmp_path: Path, clock: Clock) -> None:
    staged = make(tmp_path, clock)
    study = bring(staged, 1)
    staged.end([study])
    bring(staged, 2)
    clock.now += 100
    assert staged.finish(()) == []
    staged.end([study])
    clock.now += 11
    assert len(list(staged.finish(())[0].iterdir())) == 2


def test_the_same_object_twice_is_one_file(tmp_path: Path, clock: Clock) -> None:
    staged = make(tmp_path, clock)
    for _ in range(2):
        study = bring(staged, 1, SOPInstanceUID="1.9.9")
    assert [path.suffix for path in (staged.studies / study).iterdir()] == [".dcm"]


def test_what_a_killed_process_left_is_gone_on_with(tmp_path: Path, clock: Clock) -> None:
    before = make(tmp_path, clock)
    study = bring(before, 1)
    (before.incoming / "cut").write_bytes(b"x")
    after = make(tmp_path, clock)
    assert list(after.incoming.iterdir()) == []
    assert after.count_waiting() == 1
    clock.now += 100
    assert after.finish(()) == [], "it never ended"
    assert bring(after, 2) == study
    after.end([study])
    clock.now += 11
    assert len(list(after.finish(())[0].iterdir())) == 2


def test_what_comes_later_stands_beside_and_overwrites_nothing(tmp_path: Path, clock: Clock) -> None:
    staged = make(tmp_path, clock)
    names = []
    for seed in (1, 2):
        staged.end([bring(staged, seed)])
        clock.now += 11
        names.append(staged.finish(())[0].name)
    assert names[1] == f"{names[0]}-2"


def test_a_broken_study_is_dropped_after_a_while(tmp_path: Path, clock: Clock) -> None:
    clock.now = time.time()
    staged = make(tmp_path, clock, keep_hours=1)
    study = bring(staged, 1)
    assert staged.drop_old(()) == 0
    clock.now += 3700
    assert staged.drop_old([study]) == 0
    assert staged.drop_old(()) == 1
    assert staged.count_waiting() == 0


def test_the_quota_counts_what_is_there_and_what_was_dropped(tmp_path: Path, clock: Clock) -> None:
    size = write_clip(tmp_path / "one", 1).stat().st_size
    staged = make(tmp_path, clock, max_gib=2.5 * size / 2**30)
    bring(staged, 1)
    bring(staged, 2)
    with pytest.raises(NoRoomError):
        bring(staged, 3)
    again = make(tmp_path, clock, max_gib=2.5 * size / 2**30)
    with pytest.raises(NoRoomError):
        bring(again, 3)


def test_studies_that_a_person_took_away_make_room(tmp_path: Path, clock: Clock) -> None:
    size = write_clip(tmp_path / "one", 1).stat().st_size
    staged = make(tmp_path, clock, max_gib=1.5 * size / 2**30)
    staged.end([bring(staged, 1)])
    clock.now += 11
    (moved,) = staged.finish(())
    with pytest.raises(NoRoomError):
        bring(staged, 2)
    shutil.rmtree(moved)
    bring(staged, 2)


def test_a_mount_of_another_file_system_gets_whole_studies_too(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = make(tmp_path, clock)
    study = bring(staged, 1)
    staged.end([study])
    clock.now += 11
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(errno.EXDEV, "another device")))
        (moved,) = staged.finish(())
    assert [path.suffix for path in moved.iterdir()] == [".dcm"]
    assert [path.name for path in staged.received.iterdir()] == [study]
    assert staged.count_waiting() == 0


def test_a_disk_that_is_nearly_full_takes_nothing(tmp_path: Path, clock: Clock) -> None:
    staged = make(tmp_path, clock, min_free_gib=shutil.disk_usage(tmp_path).total / 2**30)
    with pytest.raises(NoRoomError):
        bring(staged, 1)


@pytest.mark.parametrize(
    "tags", [{"StudyInstanceUID": ""}, {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"}]
)
def test_what_is_no_ultrasound_of_a_study_is_refused(tmp_path: Path, clock: Clock, tags: dict[str, Any]) -> None:
    staged = make(tmp_path, clock)
    path = write_clip(staged.incoming / "x", 1, **tags)
    with pytest.raises(NoUltrasoundError):
        staged.keep(path)
    (staged.incoming / "y").write_bytes(b"rubbish")
    with pytest.raises(NoUltrasoundError):
        staged.keep(staged.incoming / "y")
    assert staged.count_waiting() == 0


def test_folders_are_private(tmp_path: Path, clock: Clock) -> None:
    staged = make(tmp_path, clock)
    study = bring(staged, 1)
    for path in (staged.studies, staged.studies / study, *(staged.studies / study).iterdir()):
        assert path.stat().st_mode & 0o077 == 0
