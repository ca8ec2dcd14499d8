"""How one driver calls groups of workers: resource pools, worker groups, dispatch. Knows nothing of RL."""
from verl.single_controller.dispatch import Dispatch, register
from verl.single_controller.resource_pool import ResourcePool
from verl.single_controller.worker import Worker
from verl.single_controller.worker_group import WorkerFailure, WorkerGroup, explained, user_error

__all__ = ["Dispatch", "ResourcePool", "Worker", "WorkerFailure", "WorkerGroup", "explained", "register", "user_error"]
