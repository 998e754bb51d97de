"""How fast, how flat, how small: `python -m tests.compare.benchmarks` prints the tables.

Every contender reads the same bytes in one process, all defaults on, the garbage
collector running as it does in production. Contenders take turns (A B C A B C …)
and the fastest run of each counts, in processor time: whatever else the machine
did made runs slower, never faster.
"""
