"""The one way by which numbers leave a site: what is not finite becomes zeros, then noise, the ledger, and the mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import Update
from ceus_models.protocol.state import State, is_finite


@dataclass(frozen=True)
class Release:
    """How the sums of one site become an answer.

    Args:
        site: its name.
        log: told what the hospital should know, never a value.
    """

    site: str
    log: Callable[[str], None]

    def make_answer(self, received: ReceivedTask, sums: State, weight: float) -> Update:
        """Make the answer to a task from what the site computed; nothing else may leave."""
        return Update(self.site, replace_not_finite(sums, self.log), weight, task=received.id)


def replace_not_finite(sums: State, log: Callable[[str], None]) -> dict[str, torch.Tensor]:
    """Replace the whole group of a number that is not finite by zeros, so that the answer's form tells nothing.

    A group is what shares a name up to the last bar: a net, a cohort, or a net on a cohort.
    """
    bad = {name.rpartition("|")[0] for name, tensor in sums.items() if not is_finite({name: tensor})}
    for group in sorted(bad):
        log(f"{group}: a number was not finite, so zeros are sent; look at this site's lesions of that group")
    return {n: torch.zeros_like(t) if n.rpartition("|")[0] in bad else t for n, t in sums.items()}
