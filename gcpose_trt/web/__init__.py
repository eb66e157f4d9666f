"""The live page: video, poses, settings, statistics, health and metrics over HTTP."""
