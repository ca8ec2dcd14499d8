"""The PPO-family trainer."""
