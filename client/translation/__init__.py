"""What a site shows to people, in Simplified Chinese: a catalogue, and what finds the texts that it must hold."""
