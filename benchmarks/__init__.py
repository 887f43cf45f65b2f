"""Times and memory, as figures to read and compare. Counts of requests and queries are tests, not benchmarks."""
