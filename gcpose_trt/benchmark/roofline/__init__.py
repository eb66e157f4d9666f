"""How far is each part of a network from what this machine can do at best?

A roofline (Williams, Waterman, Patterson: Roofline: an insightful visual performance model, 2009) compares the time of
a piece of work with the time that its operations and its bytes need at the machine's measured ceilings; the longer of
the two is its floor. Everything is measured with ONNX Runtime, the library that runs the network:

- `counting`: operations and bytes of one node, from the shapes that it had.
- `graphs`, `shapes`: the graph as ONNX Runtime optimises it, with what that hides: true channels of padded layouts.
- `stages`: which part of the network a node belongs to.
- `sessions`, `profiling`: times of each node over repeated runs.
- `ceilings`, `probes`: operations a second, bytes a second by size of what is streamed, cost of calling a node.
- `analysis`: all of it together; `document`: as a record.
- `text`, `plots`, `page`: for people. `command`: `gcpose-trt benchmark roofline`.
"""
