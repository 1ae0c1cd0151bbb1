"""The coordinator's arithmetic of a secure sum: secrets from shares, and masks taken out of the total."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ceus_models.protocol.messages import Session
from ceus_models.protocol.privacy.fixed_point import Ring
from ceus_models.protocol.privacy.masks import agree_on_key, derive_public_key
from ceus_models.protocol.privacy.secure_session import add_pair_mask, add_self_mask, split_bytes
from ceus_models.protocol.privacy.shamir import SHARE_BYTES, combine_shares


@dataclass(frozen=True)
class MaskedTotal:
    """The sum of masked answers.

    Args:
        binding: of the session, its boxes and the subject.
        mask_keys: public mask key of every site that offered boxes.
        survivors: the sites whose answers are in the sum.
        vector: modulo 2^64.
    """

    session: Session
    binding: str
    mask_keys: Mapping[str, bytes]
    survivors: tuple[str, ...]
    vector: Ring

    def unmask(self, shares: Mapping[str, bytes]) -> Ring:
        """The total without masks: masks of two sites in the sum cancel, and the others are rebuilt from shares.

        Each site in the sum added a mask of its own, and one for each site that offered boxes and gave no answer.

        Args:
            shares: by the site that opened: a share of every site, in the order of the session. The first `threshold`
                of them are used.

        Raises:
            ValueError: a site gave wrong shares.
        """
        places = {site: place for place, site in enumerate(self.session.sites)}
        chosen = list(shares.items())[: self.session.threshold]
        rows = {places[opener] + 1: split_bytes(row, SHARE_BYTES) for opener, row in chosen}
        vector = self.vector.copy()
        for site in self.mask_keys:
            secret = combine_shares({point: row[places[site]] for point, row in rows.items()})
            if site in self.survivors:
                add_self_mask(vector, secret, self.binding, sign=-1)
                continue
            if derive_public_key(secret) != self.mask_keys[site]:
                raise ValueError(f"expected shares of the mask key of {site}, found shares of another key")
            for other in self.survivors:
                agreed = agree_on_key(secret, self.mask_keys[other])
                add_pair_mask(vector, agreed, self.binding, (places[site], places[other]))  # the negative of its mask
        return vector
