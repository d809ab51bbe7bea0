"""HTTP/1.1 servers, one file for each I/O-thread model; `engines/common` holds what they share."""
