"""What one connection may send: sizes in bytes, and counts. docs/http.md has the status of each rejection."""

from __future__ import annotations

REQUEST_LINE_LIMIT = 8 * 1024  # bytes
HEADERS_LIMIT = 32 * 1024  # bytes
HEADER_COUNT_LIMIT = 100
SHORT_FIELD_BYTES = 300  # 100 fields of this length are below HEADERS_LIMIT
BODY_LIMIT = 1024 * 1024  # bytes
MESSAGE_BYTES_PER_BODY_BYTE = 16  # of a chunked body; chunks of one byte take 6
