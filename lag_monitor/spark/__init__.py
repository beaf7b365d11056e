"""What does Spark do, stage by stage and executor by executor? Asked of its REST API, from outside of its process."""
