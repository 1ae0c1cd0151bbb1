"""Video files and the streams of DICOM, decoded by PyAV (FFmpeg) without trust in what the decoder left unwritten."""
