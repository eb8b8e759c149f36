"""Day-ahead and week-ahead load with a band, per region, feeder or meter, and how far it can be trusted."""
