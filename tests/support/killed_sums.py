"""Secure sums between real processes that kill themselves (SIGKILL), for tests: FOLDER SCENARIO…

A scenario is WHO:MOMENT:WHEN, such as site:masked:after or coordinator:open:before. Four sites answer on Unix sockets
and are started again when they die; so is the coordinator, which sends a message until it is answered, as Flower's link
does. Everything is imported once and each process is a fork. Prints a line of JSON for each scenario.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import Client, Listener
from pathlib import Path

import torch
from secure_sites import SecureSite, at, secure_sites

from ceus_models.plan.terms.settings import Screening
from ceus_models.protocol.encoding import decode, to_bytes
from ceus_models.protocol.messages import LocalRule, Refusal, Task, Update
from ceus_models.protocol.state import digest
from server.rounds.opening_file import OpeningFile
from server.rounds.round import Answer, Call
from server.rounds.screening import Gate
from server.rounds.secure_round import gather_sums

SITES = 4
NET = "disease/HCC"
VICTIM = "site-02"
TASK = Task(
    "train",
    study="plan",
    seed=7,
    stage="stage",
    round=1,
    nets=(NET,),
    cohorts=("training_a",),
    inputs={f"{NET}|w": torch.arange(12.0).reshape(3, 4)},
    rule=LocalRule(batch_size=8),
    level="sums",
)


def die_once(folder: Path, who: str, moment: str, when: str, task: Task) -> None:
    """Die here if the scenario says so and nobody has died yet."""
    mark = folder / "died"
    if (folder / "scenario").read_text() == f"{who}:{moment}:{when}" and at(moment)(task) and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def serve(folder: Path, site: SecureSite) -> None:
    """Answer until killed; what was masked is written down before it leaves."""
    path = folder / f"{site.name}.sock"
    path.unlink(missing_ok=True)
    with Listener(str(path)) as listener:
        while True:
            with listener.accept() as connection:
                task = decode(connection.recv_bytes())
                assert isinstance(task, Task)
                watch(folder, site.name, "before", task)
                answer = site.answer(task)
                if isinstance(answer, Update) and "#masked" in answer.sums and task.session:
                    sha = hashlib.sha256(answer.sums["#masked"].numpy().tobytes()).hexdigest()
                    with (folder / f"{site.name}.masked").open("a") as file:
                        file.write(f"{task.session.id} {sha}\n")
                connection.send_bytes(to_bytes(answer))
                watch(folder, site.name, "after", task)


def watch(folder: Path, name: str, when: str, task: Task) -> None:
    if name == VICTIM:
        for moment in ("offer", "masked", "confirm", "open"):
            die_once(folder, "site", moment, when, task)


class SocketLink:
    """Sends each message until it is answered."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sites(self) -> list[str]:
        return [f"site-{number:02d}" for number in range(1, SITES + 1)]

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        self._watch("before", task)
        for number, site in enumerate(sites):
            yield site, self._send(site, to_bytes(task))
            if number == 0:
                self._watch("after", task)

    def _watch(self, when: str, task: Task) -> None:
        for moment in ("offer", "masked", "confirm", "open"):
            die_once(self._folder, "coordinator", moment, when, task)

    def _send(self, site: str, data: bytes) -> Update | Refusal:
        until = time.monotonic() + 60
        while True:
            try:
                with Client(str(self._folder / f"{site}.sock")) as connection:
                    connection.send_bytes(data)
                    answer = decode(connection.recv_bytes())
                assert not isinstance(answer, Task)
                return answer
            except (OSError, EOFError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)


def coordinate(folder: Path, keys: dict[str, str], lesions: dict[str, dict[str, int]]) -> None:
    """One round; its result becomes a file."""
    names = tuple(sorted(keys))
    gate = Gate(TASK, Screening(), lesions, {}, len(names))
    call = Call(TASK, gate, names, lambda task, update: update.sums, dict, lambda *what: None)
    total, record = gather_sums(SocketLink(folder), call, keys, OpeningFile(folder))
    (folder / "result").write_text(json.dumps({"digest": digest(total), "counted": list(record.counted)}))


def fork(work: Callable[[], None]) -> int:
    """The child's id; the child ends with its work."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)


def play(folder: Path, scenario: str) -> dict[str, object]:
    """Start all, start again who dies, until the coordinator is done."""
    folder.mkdir(parents=True)
    (folder / "scenario").write_text(scenario)
    sites = {site.name: site for site in secure_sites(folder, SITES)}
    keys = {name: site.sessions.key.public.hex() for name, site in sites.items()}
    held = {n: {"training_a": sum(x.cohort == "training_a" for x in s.plain.lesions)} for n, s in sites.items()}
    works: dict[str, Callable[[], None]] = {name: partial(serve, folder, site) for name, site in sites.items()}
    works["coordinator"] = partial(coordinate, folder, keys, held)
    running = {fork(work): name for name, work in works.items()}
    deaths: list[str] = []
    someone_dies = not scenario.startswith("nobody")  # perhaps after its last answer, as the total is there already
    while (not (folder / "result").exists() or (someone_dies and not deaths)) and len(deaths) < 5:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            time.sleep(0.01)
            continue
        name = running.pop(child)
        if not os.WIFSIGNALED(status):
            assert (name, status) == ("coordinator", 0), f"{name} ended with status {status}"
            continue
        deaths.append(name)
        again = (
            (lambda: coordinate(folder, keys, held))
            if name == "coordinator"
            else (lambda n=name: serve(folder, sites[n]))
        )  # type: ignore[misc]
        running[fork(again)] = name
    for child, name in running.items():
        if name != "coordinator":
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    masked = {name: (folder / f"{name}.masked").read_text().split("\n")[:-1] for name in sites}
    return {"scenario": scenario, "deaths": deaths, "masked": masked, **json.loads((folder / "result").read_text())}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for place, scenario in enumerate(sys.argv[2:]):
        print(json.dumps(play(Path(sys.argv[1]) / str(place), scenario)), flush=True)
