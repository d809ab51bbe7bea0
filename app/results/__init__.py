"""From what was observed of a trial to its summary, evidence and verdict. Pure functions."""
