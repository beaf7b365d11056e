"""How far is each hop behind the one before? For the Overview: counts against counts."""
