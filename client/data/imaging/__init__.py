"""From a video file to a clip: two panes of levels on one time axis."""
