"""Batches of videos and pictures, on this machine or a cluster: into one table of people."""
