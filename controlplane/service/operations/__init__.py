"""Operations as the control plane keeps them: asked for, planned, confirmed, leased to a worker, heard of, ended, undone."""
