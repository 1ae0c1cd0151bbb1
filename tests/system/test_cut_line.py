"""A line that is cut again and again: a message goes on with the piece that was on the way, not from its beginning."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from connect_proxy import PASSWORD, USER, connect_proxy

from benchmarks.faults import SEED, tiny_plan
from ceus_models.plan.plan import load_plan
from ceus_models.runtime.process_tree import ProcessGroup
from tests.support.made_sites import made_site
from tests.support.real_federation import NGINX, Federation, here

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)"),
]
CUT_AFTER = 12_000_000
"""Less than half of a message, more than two of Flower's pieces of 5 MB."""
ROUNDS = 2


def wide_plan(path: Path) -> Path:
    """Rounds of one net of some 23 MB."""
    plan = yaml.safe_load(tiny_plan(path, ROUNDS).read_text())
    plan["architecture"] |= {"spatial_depth": 18, "temporal_depth": 18, "width": 32, "hidden": 32}
    path.write_text(yaml.safe_dump(plan))
    return path


def test_no_connection_lasts_for_a_whole_message_and_every_round_is_counted(tmp_path: Path) -> None:
    plan = wide_plan(tmp_path / "plan.yaml")
    folder = made_site(tmp_path / "site-01", 1, {"training_a": 4, "validation": 2}, load_plan(plan).processing)
    with ProcessGroup(tmp_path / "logs") as fleet, connect_proxy("") as proxy:
        proxies = {"site-01": f"http://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{proxy.port}"}
        federation = Federation(tmp_path / "study", {"site-01": folder}, fleet, here, proxies=proxies)
        federation.join_all(plan, SEED)
        proxy.allowed = f"localhost:{federation.front}"
        federation.up()
        federation.open_front()
        federation.serve_all()
        proxy.cut_after = CUT_AFTER
        federation.order()
        assert federation.wait_over(1200) == "done", federation.state()
        rounds = [e["record"] for e in federation.told() if e["event"] == "Finished" and e["record"]["kind"] == "train"]
        letters = (federation.of_study() / "run" / "mirror.jsonl").read_text()
        carried, cuts = proxy.bytes, proxy.cuts
    print(f"{carried / 1e6:.0f} MB over a line that was cut {cuts} times")
    assert [record["counted"] for record in rounds] == [["site-01"]] * ROUNDS
    assert letters.count('"sent"') == ROUNDS + 2, "no message was sent a second time"
    assert cuts >= 2 * ROUNDS
