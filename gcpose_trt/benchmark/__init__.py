"""Benchmark reports: how fast, how accurate, how hot, compared to what, on this machine.

A run measures contenders (models of ours and peers), each in a process of its own, in turns:

- `schema`: what a report holds, key by key.
- `contender`: what is measured, and what an adapter of a peer offers.
- `suites`, `plan`: from a suite and the command line to contenders and units of work.
- `runner`, `state`: the units one by one, kept so that an interrupted run goes on.
- `fleet`, `worker`, `operations`: child processes and what they do when asked.
- `sections`: what is measured, one file each: the units that it needs, and what it makes of their results.
- `environment`: the machine: facts, clocks, temperatures, power.
- `statistics`, `comparison`: medians with intervals; two reports side by side.
- `reporting`: Markdown and HTML from a report.
- `roofline`: operations and bytes of each layer against what the machine can do.
"""
