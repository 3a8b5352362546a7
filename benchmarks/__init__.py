"""Measures the hot paths as ratios to a reference run moments before on the same machine: `make bench`."""
