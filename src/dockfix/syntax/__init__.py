"""Text layers: text in, spans and edits out. No file system, no policy."""
