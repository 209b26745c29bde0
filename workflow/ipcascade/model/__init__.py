"""The network: encoder, packed attention, one head per level; how it is saved, loaded and quantised."""
