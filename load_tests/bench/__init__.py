"""Benchmarks: ratios within one run, and CPU seconds an event. Figures of a shared machine are sizes, not promises."""
