"""Energy and time of a training as a device reports them."""
