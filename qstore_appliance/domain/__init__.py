"""The nouns and their pure rules. Frozen values out, pydantic drafts in; no I/O."""
