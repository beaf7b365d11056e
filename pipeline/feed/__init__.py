"""The demo feeds: real flights replayed in event time, and a made-up shop with deliberate faults."""
