"""A plan as users write it: checked, described in words, named as scenarios, judged by thresholds."""
