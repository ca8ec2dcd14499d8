"""A reward function that does what `solution_str` says; used as custom_reward_function by the pool's tests."""
import asyncio
import ctypes
import functools
import os
import subprocess
import sys
import threading
import time

from reward_score.result import RewardUnavailable


def compute_score(data_source, solution_str, ground_truth, extra_info, factor=1.0):
    command, _, argument = solution_str.partition(" ")
    return COMMANDS[command](argument, factor)


async def compute_score_async(data_source, solution_str, ground_truth, extra_info, factor=1.0):
    await asyncio.sleep(0.01)
    return {"score": factor, "loop": id(asyncio.get_running_loop())}


def loop(argument, factor):
    while True:
        pass


def loop_in_c(argument, factor):
    return 3**10**argument.__len__().__add__(9)  # holds the interpreter lock and takes no signal


def hog(argument, factor):
    blocks = []
    while True:
        blocks.append(bytearray(10**7))


def segfault(argument, factor):
    return ctypes.string_at(0)


def start_child(argument, factor, new_session=False, parents=0):
    """Starts a process that outlives its parent, writes its pid to the file named first, then does the second thing."""
    file, then = argument.split(" ", 1)
    sleeper = f"import os, time; open({file!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleeper!r}])" if parents else sleeper
    subprocess.Popen([sys.executable, "-c", code], start_new_session=new_session)
    while not (os.path.exists(file) and os.path.getsize(file)):
        time.sleep(0.01)
    return compute_score("", then, "", None, factor)


def ask(argument, factor):
    raise RewardUnavailable(f"{argument} does not answer")


def die_later(argument, factor):
    """The worker dies when it has nothing to do."""
    threading.Timer(float(argument), os._exit, (9,)).start()
    return factor


def fail(argument, factor):
    raise KeyError("no such thing\nreally")


COMMANDS = {
    "right": lambda argument, factor: factor,
    "pid": lambda argument, factor: {
        "score": 0,
        "pid": os.getpid()
    },
    "environ": lambda argument, factor: {
        "score": 0,
        "value": os.environ.get(argument, "")
    },
    "sleep": lambda argument, factor: time.sleep(float(argument)) or factor,
    "loop": loop,
    "loop_in_c": loop_in_c,
    "hog": hog,
    "segfault": segfault,
    "exit": lambda argument, factor: os._exit(int(argument)),
    "sys.exit": lambda argument, factor: sys.exit(0),
    "start_child": start_child,
    "start_session": functools.partial(start_child, new_session=True),
    "start_daemon": functools.partial(start_child, new_session=True, parents=1),
    "ask": ask,
    "echo": lambda argument, factor: {
        "score": 0,
        "value": argument
    },
    "die_later": die_later,
    "fail": fail,
    "none": lambda argument, factor: None,
    "unpicklable": lambda argument, factor: {
        "score": 1,
        "thing": threading.Lock()
    },
}
