"""The processes behind `reward_score.pool`."""
