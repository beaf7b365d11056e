"""How far is each hop behind the one before, in events and in seconds?"""
