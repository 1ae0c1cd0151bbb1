"""One session at the coordinator: answers of another form are excluded, and only the first of a site counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from secure_sites import SecureLink, secure_sites

from ceus_models.plan.terms.settings import Screening
from ceus_models.protocol.messages import LocalRule, Task, Update
from server.rounds.round import Call
from server.rounds.screening import Gate
from server.rounds.sum_session import begin_session

TASK = Task(
    "train",
    study="plan",
    seed=1,
    stage="stage",
    round=1,
    nets=("disease/HCC",),
    cohorts=("training_a",),
    inputs={
        "disease/HCC|w": torch.ones(3, 2),
        "disease/HCC|#bound": torch.tensor([1e6, 1e6], dtype=torch.float64),
    },
    rule=LocalRule(batch_size=8),
    level="sums",
)

WRONG = {
    "another site": lambda a: replace(a, site="site-01"),
    "another task": lambda a: replace(a, task="0" * 64),
    "no tensor": lambda a: replace(a, sums={}),
    "more tensors": lambda a: replace(a, sums={**a.sums, "w": torch.ones(1)}),
    "another shape": lambda a: replace(a, sums={n: t[:-1] for n, t in a.sums.items()}),
    "another dtype": lambda a: replace(a, sums={n: t.int() for n, t in a.sums.items()}),
}


def start(link):
    names = tuple(site.name for site in link.members)
    told = []
    gate = Gate(TASK, Screening(), {}, {}, len(names))
    call = Call(TASK, gate, names, lambda task, update: update.sums, dict, lambda *what: told.append(what))
    keys = {site.name: site.sessions.key.public for site in link.members}
    return begin_session(link, call, keys), told


@pytest.mark.parametrize("kind", ["offer", "train"])
@pytest.mark.parametrize("wrong", WRONG)
def test_an_answer_of_another_form_is_excluded(tmp_path, kind, wrong):
    sites = secure_sites(tmp_path, 5)
    original = sites[4].answer

    def answer(task):
        found = original(task)
        return WRONG[wrong](found) if task.kind == kind and isinstance(found, Update) else found

    sites[4].answer = answer
    session, told = start(SecureLink(sites))
    masked = session.gather()
    assert masked is not None
    assert masked.survivors == tuple(site.name for site in sites[:4])
    assert session.fates["site-05"][0] == "excluded"
    assert ("site-05", *session.fates["site-05"]) in told
    assert session.open(masked) is not None


def change_answers(site, name):
    """The site's answers with another first byte in this tensor."""
    original = site.answer

    def answer(task):
        found = original(task)
        if task.kind == "unmask" and isinstance(found, Update) and name in found.sums:
            return replace(found, sums={name: found.sums[name] ^ 1})
        return found

    site.answer = answer


def test_wrong_tags_of_one_site_convince_nobody_and_stop_nothing(tmp_path):
    sites = secure_sites(tmp_path, 5)
    change_answers(sites[0], "#tags")
    session, _ = start(SecureLink(sites))
    masked = session.gather()
    assert masked is not None
    assert session.open(masked) is not None


def test_a_wrong_share_voids_the_session(tmp_path):
    sites = secure_sites(tmp_path, 5)
    change_answers(sites[0], "#shares")
    session, _ = start(SecureLink(sites))
    masked = session.gather()
    assert masked is not None
    assert session.open(masked) is None
    assert "found shares of none" in session.trouble


def test_only_the_first_answer_of_a_site_counts(tmp_path):
    sites = secure_sites(tmp_path, 4)

    class Twice(SecureLink):
        def ask(self, task, names):
            for name, answer in super().ask(task, names):
                yield name, answer
                yield name, answer
                yield "stranger", answer

    session, told = start(Twice(sites))
    masked = session.gather()
    assert masked is not None
    assert masked.survivors == tuple(site.name for site in sites)
    assert session.open(masked) is not None
    assert len(told) == 4


def test_a_site_that_is_silent_is_lost(tmp_path):
    sites = secure_sites(tmp_path, 4)

    class Silent(SecureLink):
        def ask(self, task, names):
            yield from ((name, answer) for name, answer in super().ask(task, names) if name != "site-02")

    session, _ = start(Silent(sites))
    masked = session.gather()
    assert masked is not None
    assert session.fates == {"site-02": ("lost", "gave no answer")}
