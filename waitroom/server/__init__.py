"""The processes: supervisor, workers, conductor, and the public listener that ties the floors together."""
