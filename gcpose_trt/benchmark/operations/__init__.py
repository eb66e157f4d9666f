"""What a contender's process does when it is asked, one module each.

Every module has `run(contender, request: dict) -> dict`, JSON in, JSON out, and is called by `worker`; `Member.ask`
names it.
"""
