"""Users of a load test (locust): who sends events, who asks what pages ask, who watches."""
