"""A reward function of a user's that scores, sleeps, raises or dies as the answer says."""
import os
import time


def compute_score(data_source, solution_str, ground_truth, extra_info, bonus=0.0):
    command, _, argument = solution_str.strip().partition(" ")
    if command == "sleep":
        time.sleep(float(argument))
    if command == "exit":
        os._exit(int(argument))
    if command == "fail":
        raise KeyError(argument)
    return {"score": float(solution_str == ground_truth) + bonus, "place": extra_info["index"]}
