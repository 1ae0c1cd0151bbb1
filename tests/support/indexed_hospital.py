"""A hospital's folder with a table and an index of made-up samples, which a test changes as a hospital would."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from small_hospital import SmallHospital

from ceus_models.nets.module_cache import build_initial_state
from ceus_models.plan.plan import Plan
from ceus_models.plan.stages import Hello
from ceus_models.protocol.messages import LocalRule, Task
from ceus_models.protocol.state import add_prefix
from client.data.dataset.cache import cache_folder, write_sample
from client.data.dataset.file_digests import compute_file_digest
from client.data.dataset.index_file import write_index
from client.data.forms.site_config import SiteConfig, load_site, make_pseudonym
from client.worker.site.open_site import open_own_site
from client.worker.site.site import Site
from tests.support.clients import LITTLE, SMALL, lesion
from tests.support.federation import COHORT, recipe_for
from tests.support.open_policy import open_text

NET = "disease/HCC"


@dataclass
class IndexedHospital:
    """Patients P0, P1 … with a lesion each. patients: numbers of those in the table."""

    folder: Path
    patients: list[int]

    def __post_init__(self) -> None:
        """The folder as `index` leaves it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.table = SmallHospital(self.folder, max(self.patients) + 1)
        self.rows = self.table.rows
        (self.folder / "policy.yaml").write_text(open_text(), encoding="utf-8")
        self.write_table()
        self.index()

    @property
    def config(self) -> SiteConfig:
        return load_site(self.folder)

    def pseudonym(self, kind: str, number: int) -> str:
        return make_pseudonym(self.config, kind, f"{kind[0].upper()}{number}")

    def write_table(self) -> None:
        """The rows of the patients that are left."""
        self.table.rows = [self.rows[number] for number in self.patients]
        self.table.write()

    def index(self, taken: int = 0) -> None:
        """As `ceus-site index`, without reading clips. taken: another number gives all lesions another content."""
        cache, files = cache_folder(self.config), []
        for number in self.patients:
            names = {"key": self.pseudonym("lesion", number), "patient": self.pseudonym("patient", number)}
            files.append(f"{taken:032x}{number:032x}.safetensors")
            write_sample(replace(lesion("site-01", number + 100 * taken, SMALL), **names), cache / files[-1])
        write_index(self.config, SMALL, compute_file_digest(self.config.table), list(enumerate(files, 2)), {})
        for path in cache.glob("*.safetensors"):
            if path.name not in files:
                path.unlink()

    def open(self, log: list[str] | None = None) -> Site:
        """The site as its hospital runs it."""
        return open_own_site(self.folder, "site-01", (log if log is not None else []).append)


def train_task(number: int) -> Task:
    """A round of one little net."""
    plan = Plan("small", (Hello("hello"),), processing=SMALL, architecture=LITTLE)
    recipe = recipe_for(plan)
    inputs = add_prefix(build_initial_state(NET, recipe, 1), f"{NET}|")
    asked = Task("train", plan.digest(), 1, "one", number, (NET,), (COHORT,), inputs, processing=SMALL.digest())
    return replace(asked, recipe=recipe, rule=LocalRule(batch_size=4, learning_rate=0.01))


def hello_task() -> Task:
    """What every study begins with."""
    return replace(train_task(0), kind="hello", stage="hello", nets=(), inputs={}, recipe=None, rule=None)
