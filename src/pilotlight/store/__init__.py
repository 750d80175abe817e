"""Durable state: one interface, SQLite behind it; blobs and unpacked code packages on disk."""
