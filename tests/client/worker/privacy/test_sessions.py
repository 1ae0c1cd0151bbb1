"""What a site refuses in a secure sum, whoever asks; nothing of its numbers leaves but in a sum that all confirmed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from secure_sites import SecureSite, secure_sites

from ceus_models.protocol.messages import CountNoise, LocalRule, PrivateRule, Refusal, Session, Task, Update
from ceus_models.protocol.privacy.masks import derive_public_key
from ceus_models.protocol.privacy.roster import Roster
from ceus_models.protocol.privacy.secure_levels import LEAST_SITES
from ceus_models.protocol.privacy.secure_session import (
    BOX_BYTES,
    BOXES,
    MASK_KEY,
    MASKED,
    ROSTER,
    SHARES,
    TAGS,
    compute_subject,
    compute_threshold,
    make_bytes_tensor,
)
from ceus_models.protocol.state import State
from client.worker.privacy.sessions import SumRules

NET = "disease/HCC"
TASK = Task(
    "train",
    study="plan",
    seed=7,
    stage="stage",
    round=1,
    nets=(NET,),
    cohorts=("training_a",),
    inputs={f"{NET}|w": torch.ones(4, 3), f"{NET}|#bound": torch.tensor([1e6, 1e6], dtype=torch.float64)},
    rule=LocalRule(batch_size=8),
    level="sums",
)


@dataclass
class Coordinator:
    """A coordinator that may ask anything. Every step can be changed."""

    sites: list[SecureSite]
    session: Session
    roster: bytes
    boxes: torch.Tensor = field(default_factory=lambda: torch.zeros(0))

    def message(self, kind: str, task: Task = TASK, **inputs: torch.Tensor) -> Task:
        count = len(self.session.sites)
        given = {ROSTER: make_bytes_tensor(self.roster, count, 32), **{f"#{name}": t for name, t in inputs.items()}}
        return replace(task, kind=kind, inputs=given, session=self.session)  # type: ignore[arg-type]

    def offer(self, names: tuple[str, ...] | None = None) -> dict[str, Update | Refusal]:
        task = self.message("offer")
        answers = {s.name: s.answer(task) for s in self.sites if names is None or s.name in names}
        count = len(self.session.sites)
        self.boxes = torch.zeros(count, count, BOX_BYTES, dtype=torch.uint8)
        for name, answer in answers.items():
            if isinstance(answer, Update):
                self.boxes[self.session.sites.index(name)] = answer.sums[BOXES]
        return answers

    def ask(self, site: SecureSite, task: Task = TASK, boxes: torch.Tensor | None = None) -> Update | Refusal:
        inputs = {**task.inputs, BOXES: self.boxes if boxes is None else boxes}
        return site.answer(replace(task, session=self.session, inputs=inputs))

    def unmask(
        self, survivors: tuple[str, ...], task: Task = TASK, tags: torch.Tensor | None = None, **changes: object
    ) -> Task:
        subject = make_bytes_tensor(bytes.fromhex(compute_subject(task)), 32)
        given = {"boxes": self.boxes, "subject": subject, **({} if tags is None else {"tags": tags})}
        return replace(self.message("unmask", task, **given), survivors=survivors, **changes)  # type: ignore[arg-type]

    def confirm(self, task: Task) -> torch.Tensor:
        """The tags of all sites; zeros of those that refuse."""
        count = len(self.session.sites)
        tags = torch.zeros(count, count, 16, dtype=torch.uint8)
        for site in self.sites:
            answer = site.answer(task)
            if isinstance(answer, Update):
                tags[self.session.sites.index(site.name)] = answer.sums[TAGS]
        return tags


def begin(folder: Path, count: int = 7, sites: list[SecureSite] | None = None, number: int = 1) -> Coordinator:
    sites = sites or secure_sites(folder, count)
    names = tuple(site.name for site in sites)
    session = Session(f"{number:032x}", names, compute_threshold(len(names)))
    return Coordinator(sites, session, b"".join(site.sessions.key.public for site in sites))


def masked(folder: Path, count: int = 7, sites: list[SecureSite] | None = None, number: int = 1) -> Coordinator:
    """Every site has given its masked answer."""
    coordinator = begin(folder, count, sites, number)
    coordinator.offer()
    for site in coordinator.sites:
        assert isinstance(coordinator.ask(site), Update)
    return coordinator


def names_of(coordinator: Coordinator) -> tuple[str, ...]:
    return coordinator.session.sites


def refused(answer: Update | Refusal, why: str) -> None:
    assert isinstance(answer, Refusal), answer
    assert answer.code == "session"
    assert why in answer.reason


def shares_of(answer: Update | Refusal) -> State:
    assert isinstance(answer, Update), answer
    return {SHARES: answer.sums[SHARES]}


def test_the_same_questions_get_the_same_answers(tmp_path):
    coordinator = masked(tmp_path)
    site = coordinator.sites[0]
    first, second = coordinator.ask(site), coordinator.ask(site)
    assert torch.equal(first.sums[MASKED], second.sums[MASKED])
    offers = [site.answer(coordinator.message("offer")) for _ in range(2)]
    assert torch.equal(offers[0].sums[BOXES], offers[1].sums[BOXES])
    names = names_of(coordinator)
    tags = coordinator.confirm(coordinator.unmask(names))
    opened = [shares_of(site.answer(coordinator.unmask(names, tags=tags))) for _ in range(2)]
    assert torch.equal(opened[0][SHARES], opened[1][SHARES])


def test_boxes_and_masks_differ_between_sessions(tmp_path):
    first = masked(tmp_path)
    second = masked(tmp_path, sites=first.sites, number=2)
    (_, a), (_, b) = first.sites[0].masked
    assert not (a[MASKED] == b[MASKED]).any()
    assert not torch.equal(first.boxes, second.boxes)


def test_an_answer_of_a_restarted_site_has_other_secrets(tmp_path):
    """The session is the same, its secrets are not: the old boxes are refused as not its own."""
    coordinator = masked(tmp_path)
    site = coordinator.sites[0]
    before = coordinator.offer()[site.name]
    site.restart()
    refused(coordinator.ask(site), "does not know the session")
    after = site.answer(coordinator.message("offer"))
    assert not torch.equal(before.sums[MASK_KEY], after.sums[MASK_KEY])
    refused(coordinator.ask(site), "this site's own as it sent them")


CHANGES = {
    "weights": {"inputs": {f"{NET}|w": torch.ones(4, 3) * 1.0001}},
    "cohorts": {"cohorts": ("validation",)},
    "round": {"round": 2},
    "stage": {"stage": "other"},
    "rule": {"rule": LocalRule(batch_size=9)},
    "seed": {"seed": 8},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_session_masks_one_answer_only(tmp_path, change):
    coordinator = masked(tmp_path)
    refused(coordinator.ask(coordinator.sites[0], replace(TASK, **CHANGES[change])), "has masked another answer")


def test_another_payload_for_the_same_question_is_not_masked(tmp_path):
    """A site whose data changed in between does not put its mask over two vectors."""
    coordinator = masked(tmp_path)
    site = coordinator.sites[0]
    site.spoil = lambda task, sums: {**sums, f"{NET}|#loss": sums[f"{NET}|#loss"] + 1}
    refused(coordinator.ask(site), "has masked another answer")


def test_another_list_of_boxes_is_another_answer(tmp_path):
    coordinator = masked(tmp_path)
    fewer = coordinator.boxes.clone()
    fewer[6] = 0
    refused(coordinator.ask(coordinator.sites[0], boxes=fewer), "has masked another answer")


def test_boxes_that_were_changed_or_exchanged(tmp_path):
    coordinator = begin(tmp_path)
    coordinator.offer()
    site = coordinator.sites[0]
    for place in ((1, 0, 40), (2, 0, BOX_BYTES - 1), (3, 0, 0)):
        changed = coordinator.boxes.clone()
        changed[place] ^= 1
        refused(coordinator.ask(site, boxes=changed), "sealed for this place")
    swapped = coordinator.boxes.clone()
    swapped[[1, 2]] = swapped[[2, 1]]
    refused(coordinator.ask(site, boxes=swapped), "sealed for this place")
    own = coordinator.boxes.clone()
    own[0, 3] = 0
    refused(coordinator.ask(site, boxes=own), "this site's own")
    few = coordinator.boxes.clone()
    few[2:5] = 0
    refused(coordinator.ask(site, boxes=few), "boxes of 5 sites")
    refused(coordinator.ask(site, boxes=coordinator.boxes[:6]), "expected #boxes")


def test_an_invented_session(tmp_path):
    coordinator = masked(tmp_path)
    coordinator.session = replace(coordinator.session, id="f" * 32)
    refused(coordinator.ask(coordinator.sites[0]), "does not know the session")
    names = names_of(coordinator)
    answer = coordinator.sites[0].answer(coordinator.unmask(names))
    assert isinstance(answer, Update), "a restarted site confirms what it cannot know"
    tags = coordinator.confirm(coordinator.unmask(names))
    refused(coordinator.sites[0].answer(coordinator.unmask(names, tags=tags)), "sealed for this place")


@pytest.mark.parametrize("threshold", [1, 4, 6, 7])
def test_another_threshold(tmp_path, threshold):
    coordinator = begin(tmp_path)
    coordinator.session = replace(coordinator.session, threshold=threshold)
    for answer in coordinator.offer().values():
        refused(answer, "a threshold of two thirds")


def test_a_list_of_sites_that_is_none(tmp_path):
    coordinator = begin(tmp_path, 4)
    names = coordinator.session.sites
    for sites in (names[::-1], (*names[:3], names[0]), names[1:]):
        coordinator.session = Session("1" * 32, sites, compute_threshold(len(sites)))
        coordinator.roster = bytes(range(256))[: 32 * len(sites)]
        refused(coordinator.sites[0].answer(coordinator.message("offer")), "list its sites once each")


def test_two_sites_are_too_few(tmp_path):
    sites = secure_sites(tmp_path, 2)
    answers = begin(tmp_path, sites=sites).offer()
    for answer in answers.values():
        refused(answer, f"{LEAST_SITES} sites at least")


def test_a_hospital_may_want_more_sites(tmp_path):
    coordinator = begin(tmp_path, 4)
    coordinator.sites[0].rules = SumRules(minimum_sites=5)
    refused(coordinator.offer()["site-01"], "5 sites at least")


def test_a_foreign_roster(tmp_path):
    """A coordinator that puts in a key of its own, or one key for several sites, reads nothing by it."""
    coordinator = begin(tmp_path)
    true = coordinator.roster
    mine = derive_public_key(bytes(range(32)))
    coordinator.roster = mine + true[32:]
    refused(coordinator.offer()["site-01"], "this site's own")
    coordinator.roster = true[:32] + mine + mine + true[96:]
    refused(coordinator.offer()["site-01"], "another key for each site")
    coordinator.roster = true[:32] + bytes(32) + true[64:]
    refused(coordinator.offer()["site-01"], "keys or boxes are wrong")
    coordinator.roster = true[:32] + mine + true[64:]
    refused(coordinator.offer()["site-02"], "this site's own")


def test_a_roster_that_changes_within_a_session(tmp_path):
    """The roster is part of the session's id: with another one the tags, and the boxes, are of another session."""
    coordinator = masked(tmp_path)
    names = names_of(coordinator)
    tags = coordinator.confirm(coordinator.unmask(names))
    mine = derive_public_key(bytes(range(32)))
    coordinator.roster = coordinator.roster[:-32] + mine
    refused(coordinator.sites[0].answer(coordinator.unmask(names, tags=tags)), "5 sites must confirm")


def test_survivors_are_enough_and_present(tmp_path):
    coordinator = begin(tmp_path)
    coordinator.offer(coordinator.session.sites[:6])
    for site in coordinator.sites[:6]:
        assert isinstance(coordinator.ask(site), Update)
    names, site = names_of(coordinator), coordinator.sites[0]
    refused(site.answer(coordinator.unmask(names)), "survivors must be sites that offered")
    refused(site.answer(coordinator.unmask(names[:4])), "5 sites at least is opened")
    refused(site.answer(coordinator.unmask(names[:5][::-1])), "in order")
    refused(site.answer(coordinator.unmask((*names[:5], names[4]))), "once each")
    assert isinstance(site.answer(coordinator.unmask(names[:5])), Update)


@pytest.mark.parametrize(
    "noised",
    [
        replace(TASK, level="distributed", rule=LocalRule(momentum=0.0, private=PrivateRule(1.0, 2.0, sites=7))),
        replace(TASK, kind="evaluate", rule=None, level="distributed", count_noise=CountNoise(1.0, 7)),
    ],
)
def test_a_sum_is_opened_under_the_terms_of_its_answers(tmp_path, noised):
    """A coordinator cannot leave the noise out of the message that opens: the masked answers named it."""
    coordinator = begin(tmp_path)
    coordinator.offer()
    for site in coordinator.sites:
        assert isinstance(coordinator.ask(site, noised), Update)
    names = names_of(coordinator)
    refused(coordinator.sites[0].answer(coordinator.unmask(names[:5], noised)), "7 sites at least")
    honest = coordinator.unmask(names[:5], noised)
    for lie in (
        replace(honest, rule=None, count_noise=None),
        replace(honest, rule=None, count_noise=None, level="sums"),
    ):
        refused(coordinator.sites[0].answer(lie), "another one, in this view")
    assert isinstance(coordinator.sites[0].answer(coordinator.unmask(names, noised)), Update)


def test_a_change_is_not_masked_without_a_bound_on_it(tmp_path):
    coordinator = begin(tmp_path)
    coordinator.offer()
    bare = replace(TASK, inputs={name: t for name, t in TASK.inputs.items() if "#" not in name})
    refused(coordinator.ask(coordinator.sites[0], bare), "state a bound")


def test_a_private_sum_needs_the_sites_whose_noise_it_counts_on(tmp_path):
    private = replace(TASK, rule=LocalRule(momentum=0.0, private=PrivateRule(1.0, 2.0, sites=6)))
    coordinator = begin(tmp_path)
    coordinator.offer()
    for site in coordinator.sites:
        assert isinstance(coordinator.ask(site, private), Update)
    names = names_of(coordinator)
    refused(coordinator.sites[0].answer(coordinator.unmask(names[:5], private)), "6 sites at least")
    assert isinstance(coordinator.sites[0].answer(coordinator.unmask(names[:6], private)), Update)


def test_two_sets_of_survivors_in_one_session(tmp_path):
    """With both, the coordinator would have both shares of a site, and so its numbers."""
    coordinator = masked(tmp_path)
    names = names_of(coordinator)
    first, second = coordinator.unmask(names), coordinator.unmask(names[1:])
    tags = coordinator.confirm(first)
    for site in coordinator.sites:
        shares_of(site.answer(replace(first, inputs={**first.inputs, TAGS: tags})))
    for site in coordinator.sites:
        refused(site.answer(second), "opened for another set")
        refused(site.answer(replace(second, inputs={**second.inputs, TAGS: tags})), "opened for another set")
        site.restart()
        refused(site.answer(second), "opened for another set")


def test_a_split_view(tmp_path):
    """Half of the sites are shown one set of survivors, half another: neither half opens."""
    coordinator = masked(tmp_path)
    names = names_of(coordinator)
    views = [coordinator.unmask(names), coordinator.unmask(names[1:])]
    shown = [views[place % 2] for place in range(7)]
    tags = torch.zeros(7, 7, 16, dtype=torch.uint8)
    for place, site in enumerate(coordinator.sites):
        answer = site.answer(shown[place])
        assert isinstance(answer, Update)
        tags[place] = answer.sums[TAGS]
    for place, site in enumerate(coordinator.sites):
        task = replace(shown[place], inputs={**shown[place].inputs, TAGS: tags})
        refused(site.answer(task), "5 sites must confirm")


def test_a_view_of_other_boxes(tmp_path):
    """A site that was shown other boxes has masked under another binding, and confirms no other."""
    coordinator = begin(tmp_path)
    coordinator.offer()
    whole, fewer = coordinator.boxes, coordinator.boxes.clone()
    fewer[6] = 0
    for place, site in enumerate(coordinator.sites[:6]):
        assert isinstance(coordinator.ask(site, boxes=whole if place % 2 else fewer), Update)
    names = names_of(coordinator)[:6]
    coordinator.boxes = fewer
    for place, site in enumerate(coordinator.sites[:6]):
        answer = site.answer(coordinator.unmask(names))
        assert isinstance(answer, Update) == (place % 2 == 0)
    tags = coordinator.confirm(coordinator.unmask(names))
    for site in coordinator.sites[:6:2]:
        refused(site.answer(coordinator.unmask(names, tags=tags)), "5 sites must confirm")


def test_tags_cannot_be_made_up(tmp_path):
    coordinator = masked(tmp_path)
    names = names_of(coordinator)
    generator = torch.Generator().manual_seed(0)
    tags = torch.randint(0, 256, (7, 7, 16), generator=generator).to(torch.uint8)
    refused(coordinator.sites[0].answer(coordinator.unmask(names, tags=tags)), "0 did")
    true = coordinator.confirm(coordinator.unmask(names))
    refused(coordinator.sites[0].answer(coordinator.unmask(names, tags=true.transpose(0, 1).contiguous())), "1 did")


def test_only_one_share_of_each_site_is_given(tmp_path):
    """Of a site in the sum that of its seed, of one that was lost that of its mask key."""
    coordinator = masked(tmp_path)
    names, site = names_of(coordinator)[:6], coordinator.sites[0]
    tags = coordinator.confirm(coordinator.unmask(names))
    shares = shares_of(site.answer(coordinator.unmask(names, tags=tags)))[SHARES]
    assert shares.shape == (7, 66)
    members = site.sessions._prepared[next(iter(site.sessions._prepared))].members
    boxes = coordinator.boxes.numpy().tobytes()
    for place in range(7):
        content = members._open(boxes, place)
        expected = content.seed_share if place < 6 else content.mask_share
        assert shares[place].numpy().tobytes() == expected


def test_a_question_again_with_one_site_fewer(tmp_path):
    """The difference of the two totals would be that site's numbers; renaming the round does not help."""
    first = masked(tmp_path)
    names = names_of(first)
    open_all(first, names)
    renamed = replace(TASK, stage="other", round=9)
    second = begin(tmp_path, sites=first.sites, number=2)
    second.offer()
    for site in second.sites:
        assert isinstance(second.ask(site, renamed), Update)
    for fewer in (names[1:], names[:5]):
        for site in second.sites:
            refused(site.answer(second.unmask(fewer, renamed)), "this question was opened before")
    for site in second.sites:
        assert isinstance(site.answer(second.unmask(names, renamed)), Update)


def open_all(coordinator: Coordinator, survivors: tuple[str, ...], task: Task = TASK) -> None:
    tags = coordinator.confirm(coordinator.unmask(survivors, task))
    for site in coordinator.sites:
        if site.name in survivors:
            shares_of(site.answer(coordinator.unmask(survivors, task, tags)))


def test_a_question_again_for_a_much_smaller_group(tmp_path):
    """Of the sites in which two sets differ, only the sum is told: with three of them, no single one."""
    first = masked(tmp_path)
    open_all(first, names_of(first))
    half = begin(tmp_path, sites=first.sites[:4], number=2)
    half.offer()
    for site in half.sites:
        assert isinstance(half.ask(site), Update)
    assert isinstance(half.sites[0].answer(half.unmask(names_of(half))), Update)


def test_with_noise_a_question_is_opened_for_one_set(tmp_path):
    """A difference of two noised totals has less noise than was charged; a new attempt is charged anew."""
    noised = replace(TASK, level="distributed")
    first = begin(tmp_path)
    first.offer()
    for site in first.sites:
        assert isinstance(first.ask(site, noised), Update)
    open_all(first, names_of(first), noised)
    half = begin(tmp_path, sites=first.sites[:4], number=2)
    half.offer()
    again = replace(noised, attempt=1)
    for site in half.sites:
        assert isinstance(half.ask(site, noised), Update)
        refused(site.answer(half.unmask(names_of(half), noised)), "for the same sites only")
    other = begin(tmp_path, sites=first.sites[:4], number=3)
    other.offer()
    for site in other.sites:
        assert isinstance(other.ask(site, again), Update)
    assert isinstance(other.sites[0].answer(other.unmask(names_of(other), again)), Update)


def test_a_wrong_subject_is_refused(tmp_path):
    """A site that knows the session compares; one that was restarted is outvoted by the tags."""
    coordinator = masked(tmp_path)
    names = names_of(coordinator)
    other = replace(TASK, cohorts=("validation",))
    for site in coordinator.sites:
        refused(site.answer(coordinator.unmask(names, other)), "in this view")
    for site in coordinator.sites[:4]:
        site.restart()
    tags = coordinator.confirm(coordinator.unmask(names, other))
    for site in coordinator.sites[:4]:
        refused(site.answer(coordinator.unmask(names, other, tags)), "5 sites must confirm")


def test_a_site_that_masked_nothing_confirms_nothing(tmp_path):
    coordinator = begin(tmp_path)
    coordinator.offer()
    names = names_of(coordinator)
    for site in coordinator.sites[:6]:
        assert isinstance(coordinator.ask(site), Update)
    refused(coordinator.sites[6].answer(coordinator.unmask(names)), "has masked no answer")


def test_old_sessions_are_forgotten(tmp_path):
    coordinator = masked(tmp_path, 3)
    for number in range(2, 10):
        masked(tmp_path, sites=coordinator.sites, number=number)
    refused(coordinator.ask(coordinator.sites[0]), "does not know the session")


def test_without_a_session_nothing_is_offered(tmp_path):
    site = secure_sites(tmp_path, 1)[0]
    refused(site.answer(replace(TASK, kind="offer")), "must bring its session")


def make_roster(coordinator: Coordinator) -> Roster:
    keys = {site.name: site.sessions.key.public.hex() for site in coordinator.sites}
    return Roster("study", 1, {**keys, "site-99": "9" * 64})


def test_an_approved_roster_binds_every_key_of_a_session(tmp_path):
    """Of its sites any may take part, and nobody else: a coordinator cannot answer for a site that it made up."""
    coordinator = begin(tmp_path, 4)
    roster, site = make_roster(coordinator), coordinator.sites[0]
    site.rules = SumRules(roster=roster.digest())
    offer = coordinator.message("offer")
    assert isinstance(site.answer(replace(offer, roster=roster.to_text())), Update)
    refused(site.answer(offer), "found none")
    other = Roster("study", 2, roster.sites)
    refused(site.answer(replace(offer, roster=other.to_text())), "approve it first")
    mine = derive_public_key(bytes(range(32)))
    coordinator.roster = coordinator.roster[:-32] + mine
    refused(site.answer(replace(coordinator.message("offer"), roster=roster.to_text())), "roster's key of site-04")
    coordinator.session = replace(coordinator.session, sites=("site-01", "site-02", "site-03", "site-77"))
    refused(site.answer(replace(coordinator.message("offer"), roster=roster.to_text())), "roster's key of site-77")
