"""Units (projects, firms, regions) by technologies, counted from predictions."""
