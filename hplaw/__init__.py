"""hplaw: which learning rate, batch size, loss and energy, and how sure."""
