"""The numbers: detection, relationship recall and precision, significance. Arrays in, numbers out."""
