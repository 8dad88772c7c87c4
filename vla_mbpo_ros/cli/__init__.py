"""Commands: `vla-mbpo <command>`. One file a command, with `add(subparsers)` and `run(args) -> int`.

May import every room but `nodes/`. What is slow to import is imported inside functions: `--help` is instant.
"""
