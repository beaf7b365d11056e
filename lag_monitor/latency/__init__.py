"""How long does route take with an event? Measured from outside by the records themselves, because Spark tells of it too late."""
