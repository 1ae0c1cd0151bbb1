"""A secure sum is the plain sum, bit for bit, whoever is lost at whichever message; fewer than enough is void."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from secure_sites import SecureLink, SecureSite, at, same_state, secure_sites

from ceus_models.plan.terms.settings import Screening
from ceus_models.protocol.messages import LocalRule, Task
from ceus_models.protocol.state import State
from ceus_models.study.taxonomy import SUBMODELS
from client.worker.privacy.sessions import SumRules
from server.rounds.opening_file import FILE, OpeningFile
from server.rounds.round import Call, gather_answers
from server.rounds.screening import Gate
from server.rounds.secure_round import gather_sums
from tests.support.fake_sites import FakeLink

NET = "disease/HCC"
COHORTS = ("training_a",)


def lesions(sites: list[SecureSite]) -> dict[str, dict[str, int]]:
    held: dict[str, dict[str, int]] = {}
    for site in sites:
        held[site.name] = {c: sum(x.cohort == c for x in site.plain.lesions) for c in ("training_a", "validation")}
    return held


def make_task(kind: str, level: str = "sums", **changes: object) -> Task:
    generator = torch.Generator().manual_seed(3)
    weights = {f"{NET}|w": torch.randn(30, 4, generator=generator), f"{NET}|b": torch.randn(4, generator=generator)}
    nets = {} if kind == "tally" else {"nets": (NET,), "inputs": weights}
    rule = {"rule": LocalRule(batch_size=8)} if kind == "train" else {}
    values = {
        "kind": kind,
        "study": "plan",
        "seed": 7,
        "stage": "stage",
        "round": 1,
        "cohorts": COHORTS,
        "level": level,
    }
    return Task(**{**values, **nets, **rule, **changes})


def make_call(task: Task, sites: list[SecureSite], told: list | None = None) -> Call:
    names = tuple(site.name for site in sites)
    gate = Gate(task, Screening(), lesions(sites), {}, len(names))
    tell = (lambda *what: told.append(what)) if told is not None else (lambda *what: None)
    return Call(task, gate, names, lambda _, update: update.sums, dict, tell)


def sum_plainly(task: Task, sites: list[SecureSite], names: tuple[str, ...] | None = None) -> State:
    chosen = [site for site in sites if names is None or site.name in names]
    call = make_call(replace(task, level="none"), chosen)
    total, record = gather_answers(FakeLink([site.plain for site in chosen]), call)
    assert len(record.counted) == len(chosen), (record.excluded, record.refused)
    return {name: t for name, t in total.items() if not name.endswith("|own")}


def sum_securely(task: Task, link: SecureLink, folder, sites: list[SecureSite] | None = None):
    keys = {site.name: site.sessions.key.public.hex() for site in link.members}
    return gather_sums(link, make_call(task, sites or list(link.members)), keys, OpeningFile(folder))


TASKS = {
    "train": make_task("train"),
    "tally": make_task("tally", inputs={"figures": torch.tensor(1)}),
    "evaluate": make_task("evaluate", nets=(NET, "disease/all"), inputs={}, comparisons=True, replicates=5),
    "validate": make_task("evaluate"),
}


@pytest.mark.parametrize("count", [3, 12, 52])
@pytest.mark.parametrize("kind", TASKS)
def test_a_secure_sum_is_the_plain_sum(tmp_path, kind, count):
    if kind == "evaluate" and count == 52:
        count = 24  # its counts with replicates are large; floats of 52 sites are in the others
    sites, task = secure_sites(tmp_path, count), TASKS[kind]
    total, record = sum_securely(task, SecureLink(sites), tmp_path)
    assert record.counted == tuple(site.name for site in sites)
    assert same_state(total, sum_plainly(task, sites))


MOMENTS = ("offer", "masked", "confirm", "open")
NAMES = tuple(f"site-{number:02d}" for number in range(1, 8))
TINY = make_task("train", inputs={f"{NET}|w": torch.ones(3, 2)})


def list_drop_outs(first: str) -> list[dict[str, str]]:
    """One or two of seven sites, the first lost at `first`, the other at any message: all that five of seven allows."""
    pairs = itertools.product(itertools.combinations(NAMES, 2), MOMENTS)
    return [*({name: first} for name in NAMES), *({a: first, b: other} for (a, b), other in pairs)]


@pytest.mark.parametrize("first", MOMENTS)
def test_whoever_is_lost_at_whichever_message(tmp_path, monkeypatch, first):
    """All 364 cases: lost before masking, a site is not in the sum; lost later, it is."""
    monkeypatch.setattr("os.fsync", lambda handle: None)  # no power is cut here, and 5,000 waits for the disk are long
    sites, cases = secure_sites(tmp_path, 7), list_drop_outs(first)
    assert len(cases) == 7 + 21 * 4
    for number, case in enumerate(cases):
        task = replace(TINY, study=f"study {number}")  # each is a question of its own
        link = SecureLink(sites, lost={name: at(moment) for name, moment in case.items()})
        total, record = sum_securely(task, link, tmp_path / str(number))
        counted = tuple(name for name in NAMES if case.get(name) not in ("offer", "masked"))
        assert record.counted == counted, case
        assert set(record.lost) == set(NAMES) - set(counted), case
        assert same_state(total, sum_plainly(task, sites, counted)), case


@pytest.mark.parametrize("moment", MOMENTS)
def test_one_more_and_nothing_is_learnt(tmp_path, moment):
    sites = secure_sites(tmp_path, 7)
    link = SecureLink(sites, lost={name: at(moment) for name in NAMES[:3]})
    total, record = sum_securely(TINY, link, tmp_path)
    assert not total
    assert not record.counted
    assert set(record.lost) == set(NAMES)
    shares = [task for task in link.asked if at("open")(task)]
    assert bool(shares) == (moment == "open")
    assert all("came to nothing" in record.lost[name] for name in NAMES[3:])


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("answered", [False, True])
def test_a_site_that_restarts_at_any_message(tmp_path, moment, answered):
    """Before or after its answer: the round ends with all sites, and no session masked two answers."""
    sites = secure_sites(tmp_path, 5)
    link = SecureLink(sites)
    restarts: list[str] = []
    original = sites[2].answer

    def answer(task):
        first = at(moment)(task) and not restarts
        if first:
            restarts.append(moment)
        if first and not answered:
            sites[2].restart()
        found = original(task)
        if first and answered:
            sites[2].restart()
        return found

    sites[2].answer = answer
    total, record = sum_securely(TINY, link, tmp_path)
    assert restarts
    assert record.counted == tuple(site.name for site in sites)
    assert same_state(total, sum_plainly(TINY, sites))
    assert_no_mask_was_used_twice(sites)


def assert_no_mask_was_used_twice(sites: list[SecureSite]) -> None:
    for site in sites:
        by_session: dict[str, set[bytes]] = {}
        for session, masked in site.masked:
            by_session.setdefault(session, set()).add(masked["#masked"].numpy().tobytes())
        assert all(len(payloads) == 1 for payloads in by_session.values())


def test_a_site_that_always_restarts_is_lost_and_the_round_goes_on(tmp_path):
    sites = secure_sites(tmp_path, 5)
    original = sites[4].answer

    def answer(task):
        if at("masked")(task):
            sites[4].restart()
        return original(task)

    sites[4].answer = answer
    link = SecureLink(sites)
    total, record = sum_securely(TINY, link, tmp_path)
    assert len({task.session.id for task in link.asked}) == 3
    assert set(record.refused) == {"site-05"}
    assert same_state(total, sum_plainly(TINY, sites, NAMES[:4]))


class Killed(Exception):
    pass


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("answers", [0, 1, 4])
@pytest.mark.parametrize("sites_too", [False, True])
def test_a_coordinator_that_is_killed_at_any_message(tmp_path, moment, answers, sites_too):
    """Before it sends a message, or after some answers; the sites may have been restarted as well."""
    sites = secure_sites(tmp_path, 5)
    seen: list[str] = []

    def kill(name: str, task: Task) -> None:
        seen.extend([name] if at(moment)(task) else [])
        if at(moment)(task) and len(seen) > answers:
            raise Killed

    class Dying(SecureLink):
        def ask(self, task, names):
            for name, answer in super().ask(task, names):
                kill(name, task)
                yield name, answer

    with pytest.raises(Killed):
        sum_securely(TINY, Dying(sites), tmp_path)
    if sites_too:
        for site in sites:
            site.restart()
    total, record = sum_securely(TINY, SecureLink(sites), tmp_path)
    assert record.counted == tuple(site.name for site in sites)
    assert same_state(total, sum_plainly(TINY, sites))
    assert_no_mask_was_used_twice(sites)


def test_after_an_opening_the_same_sum_is_opened_again(tmp_path):
    """One of the sites is gone by then: a new sum without it would tell its numbers, so the old one is finished."""
    sites = secure_sites(tmp_path, 5)

    def kill(task: Task) -> None:
        if opened and at("open")(task):
            raise Killed
        opened.extend([task] if at("open")(task) else [])

    opened: list[Task] = []
    first = SecureLink(sites, lost={name: at("open") for name in NAMES[:3]}, interrupt=kill)
    with pytest.raises(Killed):
        sum_securely(TINY, first, tmp_path)
    assert (tmp_path / FILE).exists()
    second = SecureLink(sites, lost={"site-05": lambda task: True})
    total, record = sum_securely(TINY, second, tmp_path)
    assert record.counted == NAMES[:5]
    assert same_state(total, sum_plainly(TINY, sites))
    assert not [task for task in second.asked if task.kind != "unmask"], "nothing was masked anew"


def test_frozen_submodels_are_sent_to_whoever_lacks_them(tmp_path):
    task = replace(TINY, frozen="0" * 64)
    sites = secure_sites(tmp_path, 4)
    for site in sites[1:]:
        site.plain.known.add("0" * 64)
    models = {f"{net}|x": torch.ones(2) for net in SUBMODELS if net != NET}
    link = SecureLink(sites)
    keys = {site.name: site.sessions.key.public.hex() for site in sites}
    call = replace(make_call(task, sites), frozen=lambda: models)
    total, record = gather_sums(link, call, keys, OpeningFile(tmp_path))
    assert record.counted == NAMES[:4]
    assert len({task.session.id for task in link.asked}) == 1
    assert same_state(total, sum_plainly(replace(task, frozen=""), sites))


def test_a_site_without_such_lesions_adds_zeros(tmp_path):
    """Nobody learns from the answer which site it was; its layout is that of all."""
    sites = secure_sites(tmp_path, 4)
    sites[1].plain.lesions = [lesion for lesion in sites[1].plain.lesions if lesion.cohort != "training_a"]
    link = SecureLink(sites)
    call = make_call(TASKS["tally"], sites)
    keys = {site.name: site.sessions.key.public.hex() for site in sites}
    total, record = gather_sums(link, call, keys, OpeningFile(tmp_path))
    others = tuple(name for name in NAMES[:4] if name != sites[1].name)
    assert record.counted == NAMES[:4]
    assert same_state(total, sum_plainly(TASKS["tally"], sites, others))
    assert len({site.masked[0][1]["#masked"].shape for site in sites}) == 1


def test_groups_that_no_site_has_are_absent(tmp_path):
    task = replace(TASKS["tally"], cohorts=("training_a", "training_b"))
    sites = secure_sites(tmp_path, 3)
    total, _ = sum_securely(task, SecureLink(sites), tmp_path)
    assert total
    assert all(name.startswith("training_a|") for name in total)


def spoil_total(task: Task, sums: State) -> State:
    return {**sums, f"{NET}|#weight": torch.tensor(-1e6, dtype=torch.float64)}


def test_a_total_out_of_bounds_is_searched_by_halves(tmp_path):
    """The bad site's half is dropped and named; the others count."""
    sites = secure_sites(tmp_path, 7)
    sites[5].spoil = spoil_total
    told: list = []
    link = SecureLink(sites)
    keys = {site.name: site.sessions.key.public.hex() for site in sites}
    total, record = gather_sums(link, make_call(TINY, sites, told), keys, OpeningFile(tmp_path))
    assert record.counted == NAMES[:3]
    assert set(record.excluded) == set(NAMES[3:])
    assert "weight of disease/HCC must be above 0" in record.excluded["site-06"]
    assert same_state(total, sum_plainly(TINY, sites, NAMES[:3]))
    assert len(told) == 7, "each site is told of once"


def test_the_search_goes_on_while_groups_are_large_enough(tmp_path):
    sites = secure_sites(tmp_path, 12)
    sites[0].spoil = spoil_total
    total, record = sum_securely(TINY, SecureLink(sites), tmp_path)
    assert set(record.excluded) == {"site-01", "site-02", "site-03"}
    assert same_state(total, sum_plainly(TINY, sites, record.counted))


def test_the_search_ends_where_hospitals_want_more_sites_in_a_sum(tmp_path):
    """Groups of six are opened, groups of three are not: the bad six are dropped and named with the rule."""
    sites = secure_sites(tmp_path, 12)
    for site in sites:
        site.rules = SumRules(minimum_sites=6)
    sites[8].spoil = spoil_total
    total, record = sum_securely(TINY, SecureLink(sites), tmp_path)
    assert set(record.excluded) == {site.name for site in sites[6:]}
    assert all("weight of disease/HCC" in reason for reason in record.excluded.values())
    assert same_state(total, sum_plainly(TINY, sites, record.counted))


def test_a_change_beyond_the_bound_is_scaled_down_at_the_site(tmp_path):
    sites = secure_sites(tmp_path, 4)
    sites[0].spoil = lambda task, sums: {**sums, f"{NET}|w": sums[f"{NET}|w"] * 1e6}
    total, record = sum_securely(TINY, SecureLink(sites), tmp_path)
    assert record.counted == NAMES[:4]
    assert record.clipped == {NET: 1}
    weight = sum(x.cohort == "training_a" and x.label != 5 for x in sites[0].plain.lesions)
    rest = sum_plainly(TINY, sites, NAMES[1:4])
    left = total[f"{NET}|w"] - rest[f"{NET}|w"]
    own = 10.0 * float(torch.ones(3, 2).norm())
    assert float(left.norm()) == pytest.approx(own * weight, rel=1e-5)


def test_not_finite_numbers_never_leave(tmp_path):
    sites = secure_sites(tmp_path, 5)
    sites[0].spoil = lambda task, sums: {**sums, f"{NET}|w": sums[f"{NET}|w"] * torch.nan}
    sites[1].spoil = lambda task, sums: {**sums, f"{NET}|#loss": torch.tensor(torch.inf, dtype=torch.float64)}
    total, record = sum_securely(TINY, SecureLink(sites), tmp_path)
    assert record.counted == NAMES[:5]
    assert same_state(total, sum_plainly(TINY, sites, NAMES[2:5]))


def test_masked_bytes_are_uniform_and_tell_nothing(tmp_path):
    """χ² of the bytes of one masked answer, and its correlation with what it hides, within 5 standard deviations."""
    task = make_task("train", inputs={f"{NET}|w": torch.ones(200, 500)})
    sites = secure_sites(tmp_path, 3)
    sum_securely(task, SecureLink(sites), tmp_path)
    masked = sites[0].masked[0][1]["#masked"].numpy()
    counts = torch.bincount(torch.from_numpy(masked.view("u1").copy()).long(), minlength=256).double()
    expected = masked.nbytes / 256
    chi2 = float(((counts - expected) ** 2 / expected).sum())
    assert abs(chi2 - 255) < 5 * (2 * 255) ** 0.5
    answer = sites[0].plain.answer(replace(task, level="none"))
    hidden = answer.sums[f"{NET}|w"].reshape(-1).double()
    seen = torch.from_numpy(masked[: len(hidden)].astype("f8"))
    correlation = float(torch.corrcoef(torch.stack([hidden, seen]))[0, 1])
    assert abs(correlation) < 5 / len(hidden) ** 0.5


def test_two_sites_are_too_few(tmp_path):
    sites = secure_sites(tmp_path, 2)
    link = SecureLink(sites)
    total, record = sum_securely(TINY, link, tmp_path)
    assert not total
    assert not link.asked
    assert "needs 3 sites" in record.lost["site-01"]
