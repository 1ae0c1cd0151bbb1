"""Ultrasound DICOM: header, frames, codecs, colours, times and regions."""
