"""Requests that are no conversation: pictures, sounds, vectors, rankings. One canon each, which is OpenAI's shape."""
