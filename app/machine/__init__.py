"""What the operating system knows and does: processes, CPUs, /proc, perf. Imports only schemas and below."""
