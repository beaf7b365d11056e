"""What does a thousand watchers cost the hub, and what does one that never reads cost the others?"""
