"""Time, energy and carbon: of a training, over a frontier, of a device."""
