"""Two reports side by side: `gcpose-trt benchmark compare`.

- `comparing`: the whole, from two reports to a `Comparison`.
- `pairs`: which contender of one report is which of the other, and whether the two may be compared at all.
- `values`: the numbers that both have, with their errors.
- `verdicts`: worse, better, the same, or nobody can tell.
- `context`: what else was different, and warnings.
- `text`: for the terminal, Markdown and JSON.
- `defaults`: what is compared, and from where on it counts.
"""
