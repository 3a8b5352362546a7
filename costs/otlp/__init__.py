"""OTLP/HTTP traces: spans of generative AI calls and tools become cost events."""
