"""Imported by a reward pool's fork server and by nothing else: importing it makes that process die with its parent."""

import reward_score.processes.supervisor  # noqa: F401 -- workers are then forked with all they need
from reward_score.processes.limits import die_with_parent

die_with_parent()
