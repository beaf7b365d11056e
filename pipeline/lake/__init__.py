"""The batch layer: `<s>.valid` into Delta, exactly once."""
