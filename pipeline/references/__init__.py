"""Reference tables that change: which version is it, may it be taken, and what did each one hold?"""
