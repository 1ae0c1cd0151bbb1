"""Changes in few bits: stochastic rounding to the task's steps, with error feedback (Seide et al. 2014).

What rounding and the range cut off stays at the site and is added to the site's next change. Residues are kept by
round, so that a round that is asked again, even after a restart, is answered with the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ceus_models.plan.answers.change_grid import CHANGE, ChangeGrid, read_grid
from ceus_models.plan.answers.secure_layout import find_words
from ceus_models.protocol.messages import Task
from ceus_models.protocol.privacy.fixed_point import bound_narrow
from ceus_models.protocol.quantisation import pack_numbers, round_stochastically
from ceus_models.protocol.state import State, concatenate
from ceus_models.runtime.seeds import derive_seed
from client.worker.tasks.site_memory import SiteMemory

_RESIDUE = "residue"


@dataclass(frozen=True)
class Quantiser:
    """The rounding of one site's changes. memory: where residues stay."""

    site: str
    memory: SiteMemory

    def add_residues(self, task: Task, sums: State) -> dict[str, Tensor]:
        """The change of each net per lesion, with what earlier rounds left of it, as one vector `<net>|change` (d)."""
        added = {name: tensor for name, tensor in sums.items() if name.partition("|")[2].startswith("#")}
        kept = self.memory.residues(task)
        for net in task.nets:
            if f"{net}|#weight" not in sums:
                continue
            weight = float(sums[f"{net}|#weight"])
            change = concatenate(sums[f"{net}|{name}"] for name in read_grid(task, net).shapes)
            residue = (kept.read(net) or {}).get(_RESIDUE)
            if weight > 0:  # zeros stand for a change that was not finite, and stay zeros
                change = change / weight
                change = change if residue is None else change.add_(residue.to(change.device))
            added[f"{net}|{CHANGE}"] = change
        return added

    def round_changes(self, task: Task, sums: State) -> dict[str, Tensor]:
        """The packed whole numbers of the changes of `add_residues`; what they lack is kept for the next round."""
        rounded = {name: tensor for name, tensor in sums.items() if not name.endswith(f"|{CHANGE}")}
        kept = self.memory.residues(task)
        for net in task.nets:
            if f"{net}|{CHANGE}" not in sums:
                continue
            change, grid = sums[f"{net}|{CHANGE}"], read_grid(task, net)
            weight, steps = int(sums[f"{net}|#weight"]), grid.spread_steps().to(change.device)
            seed = derive_seed(task.seed, task.stage, task.round, self.site, net, "rounding")
            generator = torch.Generator().manual_seed(seed)
            whole = round_stochastically(change, steps, _find_limit(task, grid, weight), generator)
            if weight > 0:
                kept.keep(net, {_RESIDUE: change - whole * steps})
            rounded[f"{net}|{CHANGE}"] = pack_numbers(whole, grid.bits)
        return rounded


def _find_limit(task: Task, grid: ChangeGrid, weight: int) -> int:
    """The largest number: that of the bits, or in a secure sum this site's share of the words, if that is less."""
    if task.session is None:
        return grid.limit
    sites = len(task.session.sites)
    return min(grid.limit, bound_narrow(find_words(task, sites).word_bytes, sites) // max(weight, 1))
