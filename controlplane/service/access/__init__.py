"""Who is asking, and may they? Users, sessions, tokens and one-time links; the guard before every route."""
