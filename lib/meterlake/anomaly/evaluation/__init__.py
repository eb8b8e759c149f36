"""How good a detector is: typed faults put into real readings, found or missed by the product's own code and others."""
