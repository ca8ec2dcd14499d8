"""Imported by a reward pool's fork server and by nothing else: it makes that process die with its parent and adopt
what workers leave behind."""

import warnings

import reward_score.processes.worker  # noqa: F401 -- workers are then forked with all they need
from reward_score.processes.limits import adopt_orphans, die_with_parent

die_with_parent()
adopt_orphans()
warnings.filterwarnings("ignore", "forkserver: waitpid returned")  # an orphan's end, not a worker's
