"""From a clip and an outline to a sample: track, curve, key frames, flow."""
