"""Operations at work: planned, run stage by stage in a process of their own, gone on with after a crash."""
