"""Tests of the control plane with real processes and sockets. Folders mirror the packages of `app`."""
