"""The processes that the driver calls: training workers, rollout replicas, reward actors."""
