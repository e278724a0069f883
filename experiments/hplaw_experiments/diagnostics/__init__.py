"""What is measured of a network beside its loss: coordinates, intrinsic dimension, spectrum."""
