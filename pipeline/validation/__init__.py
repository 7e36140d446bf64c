"""From a search to a verdict: windows, walk-forward, statistics, lifecycle stage."""
