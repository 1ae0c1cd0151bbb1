"""Start and stop the run of a study."""

from __future__ import annotations

from ceus_models.plan.plan import Plan, load_plan
from server.federation.site_register import count_enrolled
from server.operations.health import require_up
from server.operations.launcher import check_bundle
from server.run_folder.action_log import Actor, log_action
from server.run_folder.orders import Order, order_run, order_stop
from server.run_folder.paths import StudyFolder
from server.run_folder.studies import find_plan


def check_startable(study: StudyFolder) -> Plan:
    """The plan of a study whose run can be ordered. Raises ExpectedError with what hinders it."""
    plan = load_plan(find_plan(study))
    check_bundle(study, plan)
    require_up(study.home)
    plan.check_joinable(count_enrolled(study.home), "enrolled")
    return plan


def start_run(study: StudyFolder, actor: Actor, after: str = "") -> Order:
    """Order the run, or that it goes on; after: the study whose end it waits for. Raises as `check_startable`."""
    with log_action(study.home, actor, "start", study.name, f"after {after}" if after else ""):
        check_startable(study)
        return order_run(study, after)


def stop_run(study: StudyFolder, at_once: bool, actor: Actor) -> Order:
    """Order the end of the run, after the round under way or at once. Raises ExpectedError where none is."""
    with log_action(study.home, actor, "stop at once" if at_once else "stop after the round", study.name):
        require_up(study.home)
        return order_stop(study, at_once)
