"""What runs in the sandbox's own processes: imported there as the package `inside`, with the standard library only.

The only part of `reward_score` that executes code. `launch` enters namespaces; `zygote` forks; `child` confines itself
and runs a program; `server` holds an answer's functions while `checker`, in another process, holds the tests that call
them over `wire`.
"""
