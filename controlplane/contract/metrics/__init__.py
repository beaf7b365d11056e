"""What does a process count of its own work, and how does Prometheus get it?

`table` is what there is, `meter` keeps it, `told` takes it from the facts that a process reports, `serve` answers a scrape.
"""
