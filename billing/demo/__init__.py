"""Demo data: a catalogue, people, and half a year of what they did. See ``load_demo``."""
