-- What is kept too long is found by the time it was stored: new alerts go to the index's end.
CREATE INDEX alert_by_stored ON alert (stored_ns);
