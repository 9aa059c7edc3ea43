"""Many runs: enumerate, run resumably, gather, compare."""
