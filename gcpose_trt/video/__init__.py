"""Pictures over time: where they come from, what happens to them, where they go.

`capture` reads any source, live ones too; `clips` and `images` are the files among them. `live` joins sources, network,
tracking, drawing and sinks in threads; `sinks` write and send. `frames` and `live_types` are what these hand to each
other.
"""
