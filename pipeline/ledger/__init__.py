"""The proof that nothing was lost and nothing counted twice: every event's account, hop by hop."""
