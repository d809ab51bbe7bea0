"""The control plane: launches engines, loads them, watches them, and judges what it saw."""
